import itertools

import pytest

from changes.builds.rules import Result, Status
from changes.web.pages import drawing, states
from changes.web.pages.states import State


@pytest.mark.parametrize(("status", "result"), list(itertools.product(Status, Result)))
def test_every_status_with_every_result_is_a_state_people_know(status: Status, result: Result) -> None:
    assert states.state_of(status, result) in states.ALL


def test_each_state_has_a_name_a_word_and_a_shape_of_its_own() -> None:
    shapes = drawing.shapes()

    names, words = {each.name for each in states.ALL}, {each.word for each in states.ALL}
    drawn = {shapes[each.icon] for each in states.ALL}

    assert [len(names), len(words), len(drawn)] == [len(states.ALL)] * 3


@pytest.mark.parametrize(
    ("status", "result", "expected"),
    [
        (Status.PENDING_ALLOCATION, Result.UNKNOWN, states.WAITING),
        (Status.QUEUED, Result.FAILED, states.WAITING_FAILING),
        (Status.IN_PROGRESS, Result.UNKNOWN, states.RUNNING),
        (Status.IN_PROGRESS, Result.FAILED, states.RUNNING_FAILING),
        (Status.COLLECTING_RESULTS, Result.UNKNOWN, states.COLLECTING),
        (Status.FINISHED, Result.PASSED, states.PASSED),
        (Status.FINISHED, Result.INFRA_FAILED, states.INFRA),
        (Status.UNKNOWN, Result.UNKNOWN, states.NONE),
    ],
)
def test_only_what_is_finished_is_judged_by_its_result(
    status: Status, result: Result, expected: State
) -> None:
    assert states.state_of(status, result) == expected
