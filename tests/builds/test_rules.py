from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.builds import rules
from changes.builds.rules import CommandType, Result, Status

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


@given(st.integers(0, 50), st.integers(0, 50))
def test_attempts_are_replaced_up_to_the_limit(replaced: int, limit: int) -> None:
    assert rules.may_replace(replaced_in_job=replaced, limit=limit) == (replaced < limit)


def test_collectors_and_snapshot_commands_do_not_run_in_a_plain_step() -> None:
    assert [kind for kind in CommandType if rules.runs_in_plain_step(kind)] == [
        CommandType.DEFAULT,
        CommandType.SETUP,
        CommandType.TEARDOWN,
        CommandType.INFRA_SETUP,
    ]
