from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.builds import rules
from changes.builds.rules import IllegalMove, ReplaceLimits, Result, ResultRule, Status

STATUSES = st.lists(st.sampled_from(Status), max_size=6)
RESULTS = st.lists(st.sampled_from(Result), max_size=6)


def test_the_numbers_of_statuses_are_those_of_the_original() -> None:
    assert {status.name: status.value for status in Status} == {
        "UNKNOWN": 0,
        "QUEUED": 1,
        "IN_PROGRESS": 2,
        "FINISHED": 3,
        "COLLECTING_RESULTS": 4,
        "ALLOCATED": 5,
        "PENDING_ALLOCATION": 6,
    }


def test_the_numbers_of_results_are_those_of_the_original() -> None:
    assert {result.name: result.value for result in Result} == {
        "UNKNOWN": 0,
        "PASSED": 1,
        "FAILED": 2,
        "SKIPPED": 3,
        "ABORTED": 5,
        "INFRA_FAILED": 6,
        "QUARANTINED_PASSED": 11,
        "QUARANTINED_FAILED": 12,
        "QUARANTINED_SKIPPED": 13,
    }


def test_every_status_but_unknown_has_its_place_in_the_order() -> None:
    assert sorted(rules.MOST_ALIVE_FIRST) == sorted(set(Status) - {Status.UNKNOWN})


def test_every_result_has_its_place_in_the_order() -> None:
    assert sorted(rules.WORST_FIRST) == sorted(Result)


@given(STATUSES)
def test_a_whole_is_finished_only_when_every_known_part_is(statuses: list[Status]) -> None:
    known = {status for status in statuses if status != Status.UNKNOWN}

    assert (rules.aggregate_status(statuses) == Status.FINISHED) == (known == {Status.FINISHED})


@given(RESULTS)
def test_a_whole_passes_only_when_no_part_is_worse(results: list[Result]) -> None:
    worse = {Result.ABORTED, Result.FAILED, Result.INFRA_FAILED, Result.UNKNOWN}

    passed = rules.aggregate_result(results) == Result.PASSED

    assert passed == (Result.PASSED in results and not worse & set(results))


@given(STATUSES.flatmap(lambda statuses: st.tuples(st.just(statuses), st.permutations(statuses))))
def test_the_order_of_the_parts_says_nothing_about_the_status(
    both: tuple[list[Status], list[Status]],
) -> None:
    assert rules.aggregate_status(both[0]) == rules.aggregate_status(both[1])


@given(RESULTS, RESULTS)
def test_results_may_be_summed_up_in_groups(one: list[Result], other: list[Result]) -> None:
    """Steps into phases into jobs into builds says the same as all steps at once."""
    groups = [rules.aggregate_result(group) for group in (one, other) if group]

    assert rules.aggregate_result(groups) == rules.aggregate_result([*one, *other])


@given(STATUSES, STATUSES)
def test_statuses_may_be_summed_up_in_groups(one: list[Status], other: list[Status]) -> None:
    groups = [rules.aggregate_status(one), rules.aggregate_status(other)]

    assert rules.aggregate_status(groups) == rules.aggregate_status([*one, *other])


@given(RESULTS)
def test_a_failure_seen_while_it_runs_is_never_taken_back_as_passed(results: list[Result]) -> None:
    early = rules.running_result(results)

    assert early in (Result.FAILED, Result.UNKNOWN)
    if early == Result.FAILED:
        assert rules.aggregate_result(results) in (Result.FAILED, Result.ABORTED)


@pytest.mark.parametrize("aggregate", [rules.aggregate_status, rules.aggregate_result])
def test_nothing_at_all_is_unknown(aggregate: Callable[[Collection[object]], int]) -> None:
    assert aggregate([]) == 0


# --- where a step may go ---------------------------------------------------------------------


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_a_step_goes_where_the_table_says_and_nowhere_else(before: Status, after: Status) -> None:
    allowed = after in rules.MOVES[before]

    if allowed:
        rules.check_move(before, after)
    else:
        with pytest.raises(IllegalMove, match=before.name):
            rules.check_move(before, after)


def test_no_step_comes_back_to_where_it_was() -> None:
    def reachable(start: Status) -> set[Status]:
        found: set[Status] = set()
        waiting = [start]
        while waiting:
            new = rules.MOVES[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    assert [status for status in Status if status in reachable(status)] == []
    assert reachable(Status.FINISHED) == set()


def test_every_step_can_end_from_wherever_it_is() -> None:
    stuck = [each for each in set(Status) - {Status.UNKNOWN} if each != Status.FINISHED]

    assert [each for each in stuck if Status.FINISHED not in rules.MOVES[each]] == []


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_a_whole_leaves_the_end_only_by_being_repeated(before: Status, after: Status) -> None:
    allowed = after != Status.UNKNOWN and before != Status.FINISHED

    if allowed:
        rules.check_move_of_whole(before, after, is_repeated=False)
    else:
        with pytest.raises(IllegalMove):
            rules.check_move_of_whole(before, after, is_repeated=False)


@pytest.mark.parametrize("after", sorted(set(Status) - {Status.UNKNOWN}))
def test_what_is_repeated_may_go_on_from_its_end(after: Status) -> None:
    rules.check_move_of_whole(Status.FINISHED, after, is_repeated=True)


# --- the verdict of a build ------------------------------------------------------------------


@given(RESULTS)
def test_where_all_must_pass_the_worst_job_decides(results: list[Result]) -> None:
    assert rules.judge(results) == rules.aggregate_result(results)


@given(RESULTS)
def test_where_any_may_pass_one_that_does_is_enough(results: list[Result]) -> None:
    verdict = rules.judge(results, ResultRule.ANY)

    passed = Result.PASSED in results
    assert verdict == (Result.PASSED if passed else rules.aggregate_result(results))


@given(RESULTS)
def test_where_any_may_pass_nothing_is_certain_before_the_end(results: list[Result]) -> None:
    assert rules.foresee(results, ResultRule.ANY) == Result.UNKNOWN


@pytest.mark.parametrize("result", Result)
def test_an_optional_job_can_make_nothing_worse(result: Result) -> None:
    alone = rules.judge([Result.PASSED])

    assert result == Result.UNKNOWN or rules.judge([Result.PASSED, rules.without_weight(result)]) == alone


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([Result.PASSED, Result.PASSED], Result.PASSED),
        ([Result.PASSED, Result.FAILED], Result.FAILED),
        ([Result.PASSED, Result.INFRA_FAILED], Result.UNKNOWN),
        ([Result.PASSED, Result.ABORTED], Result.UNKNOWN),
        ([], Result.UNKNOWN),
    ],
)
def test_a_collection_passes_when_all_do_and_fails_when_one_does(
    results: list[Result], verdict: Result
) -> None:
    assert rules.collection_result(results) == verdict


# --- doing it again --------------------------------------------------------------------------

MACHINES: list[str | None] = ["a", "b", "c", None]
LOST = st.dictionaries(st.sampled_from(MACHINES), st.integers(1, 5))


@given(LOST, st.sampled_from(MACHINES), st.integers(0, 20), st.integers(0, 4))
def test_lost_attempts_are_replaced_within_both_limits(
    lost: dict[str | None, int], machine: str | None, per_job: int, machines: int
) -> None:
    may = rules.may_replace(lost, machine, ReplaceLimits(per_job, machines))

    is_known = machine in lost
    assert may == (sum(lost.values()) < per_job and (is_known or len(lost) < machines))


def test_a_machine_more_than_the_limit_is_not_to_blame() -> None:
    limits = ReplaceLimits(per_job=6, machines=2)

    assert rules.may_replace({"a": 1}, "b", limits)
    assert rules.may_replace({"a": 1, "b": 1}, "a", limits)
    assert not rules.may_replace({"a": 1, "b": 1}, "c", limits)


@pytest.mark.parametrize(
    ("took_s", "may"),
    [(None, True), (0, True), (rules.REPLACED_WITHIN_S - 1, True), (rules.REPLACED_WITHIN_S, False)],
)
def test_what_failed_after_long_is_not_tried_again_by_itself(took_s: float | None, may: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert rules.is_worth_replacing(took_s) == may


def test_what_failed_is_all_that_did_not_pass() -> None:
    assert [result for result in Result if not rules.is_to_repeat(result)] == list(rules.GOOD)


def test_a_step_that_ran_has_failed_at_its_limit_and_one_that_waited_is_not_to_blame() -> None:
    assert {status: rules.result_of_timeout(status) for status in rules.MOVES} == {
        **dict.fromkeys(rules.MOVES, Result.INFRA_FAILED),
        Status.IN_PROGRESS: Result.FAILED,
        Status.COLLECTING_RESULTS: Result.FAILED,
    }
