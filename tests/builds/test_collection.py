"""Builds that were asked for together, and what is announced of all of it, exactly once in any order."""

from collections import Counter
from itertools import islice, permutations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import events, ids
from changes.base.events import Outbox
from changes.builds import collection, tasks
from changes.builds.collection import Verdict
from changes.builds.events import BuildFailing, BuildFinished, CollectionFinished, JobFinished
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status


def a_family(session: Session, *, builds: int = 2, jobs: int = 1) -> list[Build]:
    made = [factories.a_build(session, plans=jobs) for _ in range(builds)]
    collection_id = ids.new()
    for build in made:
        build.collection_id = collection_id
    session.flush()
    return made


def run(session: Session, step: JobStep, *, code: int = 0) -> None:
    agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=code)


def end(session: Session, build: Build, *, code: int = 0) -> None:
    for step in factories.steps_of(session, build):
        run(session, step, code=code)
    tasks.after_builds(session, [BuildFinished(build.id)])


def test_each_build_keeps_what_became_of_all_of_them(session: Session) -> None:
    one, other = a_family(session)

    end(session, one)
    end(session, other, code=1)

    for build in (one, other):
        (told,) = collection.events_of(session, build.id)
        assert (told.type, told.data) == ("collection_finished", {"result": "failed", "builds": 2})


def test_a_build_that_was_asked_for_alone_has_no_such_event(session: Session) -> None:
    (build,) = a_family(session, builds=1)

    end(session, build)

    assert collection.events_of(session, build.id) == []


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([(Status.FINISHED, Result.PASSED)] * 2, Verdict(is_finished=True, result=Result.PASSED)),
        (
            [(Status.FINISHED, Result.FAILED), (Status.IN_PROGRESS, Result.UNKNOWN)],
            Verdict(is_finished=False, result=Result.FAILED),
        ),
        (
            [(Status.FINISHED, Result.PASSED), (Status.FINISHED, Result.ABORTED)],
            Verdict(is_finished=True, result=Result.UNKNOWN),
        ),
        (
            [(Status.FINISHED, Result.PASSED), (Status.IN_PROGRESS, Result.UNKNOWN)],
            Verdict(is_finished=False, result=Result.UNKNOWN),
        ),
    ],
)
def test_the_verdict_of_all_is_that_of_the_original(
    states: list[tuple[Status, Result]], expected: Verdict
) -> None:
    builds = [Build(status=status, result=result) for status, result in states]

    assert collection.verdict(builds) == expected


# --- each announcement exactly once ----------------------------------------------------------


def announcements(session: Session) -> Counter[tuple[str, str]]:
    kinds = [events.name_of(kind) for kind in (BuildFailing, BuildFinished, CollectionFinished, JobFinished)]
    rows = session.execute(select(Outbox).where(Outbox.type.in_(kinds))).scalars()
    ids_of = ("job_id", "build_id", "collection_id")
    return Counter((row.type, next(row.data[name] for name in ids_of if name in row.data)) for row in rows)


ORDERS = list(islice(permutations([0, 1, 2, 3, 0, 1, 2, 3]), 0, 40_320, 5_881))


@pytest.mark.parametrize("order", ORDERS)
def test_in_whatever_order_it_ends_everything_is_announced_exactly_once(
    session: Session, order: tuple[int, ...]
) -> None:
    """Two builds of two jobs: steps end in any order and way, told twice, and looked at in between."""
    agents.listen(BuildFailing, JobFinished, CollectionFinished)
    builds = a_family(session, jobs=2)
    steps = {build.id: factories.steps_of(session, build) for build in builds}
    ended = [step.id for each in steps.values() for step in each]
    codes = {step_id: order[place] % 2 for place, step_id in enumerate(ended)}
    for step_id in codes:
        factories.give_to(session, session.get_one(JobStep, step_id), factories.a_node(session))

    for step_id in (ended[place] for place in order):
        agents.end(session, session.get_one(JobStep, step_id), code=codes[step_id])
        for build in builds:
            if build.is_finished:
                tasks.after_builds(session, [BuildFinished(build.id)])

    failed = [build for build in builds if any(codes[step.id] for step in steps[build.id])]
    expected = Counter(
        [
            *((events.name_of(JobFinished), str(step.job_id)) for each in steps.values() for step in each),
            *((events.name_of(BuildFinished), str(build.id)) for build in builds),
            *((events.name_of(BuildFailing), str(build.id)) for build in failed),
            (events.name_of(CollectionFinished), str(builds[0].collection_id)),
        ]
    )
    assert announcements(session) == expected
