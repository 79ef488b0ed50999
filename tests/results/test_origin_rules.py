from hypothesis import given
from hypothesis import strategies as st

from changes.results import origin_rules
from changes.results.origin_rules import Cost, Verdict

GOOD, BAD, UNKNOWN, UNTESTABLE = Verdict.GOOD, Verdict.BAD, Verdict.UNKNOWN, Verdict.UNTESTABLE


def searched(truth: list[Verdict], parallel: int) -> tuple[int | None, int, int]:
    """What a whole search finds, by how many builds, in how many rounds."""
    known = [GOOD, *[UNKNOWN] * (len(truth) - 2), BAD]
    builds = rounds = 0
    while origin_rules.culprit(known) is None and origin_rules.unknown_between(known):
        places = origin_rules.next_places(known, (), parallel)
        assert 0 < len(places) <= parallel
        for place in places:
            known[place] = truth[place]
        builds, rounds = builds + len(places), rounds + 1
    return origin_rules.culprit(known), builds, rounds


@given(st.integers(1, 60), st.data(), st.integers(1, 8))
def test_the_first_bad_commit_is_found_for_no_more_than_was_said(
    size: int, data: st.DataObject, parallel: int
) -> None:
    broke = data.draw(st.integers(1, size))
    truth = [GOOD if place < broke else BAD for place in range(size + 1)]

    found, builds, rounds = searched(truth, parallel)

    cost = origin_rules.cost(size - 1, parallel)
    assert found == broke
    assert builds <= cost.builds
    assert rounds <= cost.rounds


@given(st.lists(st.sampled_from([GOOD, BAD, UNTESTABLE]), max_size=30), st.integers(1, 4))
def test_whatever_the_commits_say_a_culprit_has_a_good_parent(between: list[Verdict], parallel: int) -> None:
    truth = [GOOD, *between, BAD]

    found, _, _ = searched(truth, parallel)

    assert found is None or (truth[found - 1], truth[found]) == (GOOD, BAD)


def test_more_at_once_cost_more_and_are_known_sooner() -> None:
    assert origin_rules.cost(15, 1) == Cost(builds=4, rounds=4)
    assert origin_rules.cost(15, 3) == Cost(builds=6, rounds=2)


def test_several_at_once_cut_what_is_left_into_equal_parts() -> None:
    assert origin_rules.next_places([GOOD, *[UNKNOWN] * 11, BAD], (), 3) == [3, 6, 9]


def test_what_is_built_already_is_not_asked_for_again() -> None:
    verdicts = [GOOD, *[UNKNOWN] * 7, BAD]

    assert origin_rules.next_places(verdicts, {4}, 1) == []
    assert origin_rules.next_places(verdicts, {4}, 2) in ([2], [6])


def test_a_build_that_is_not_needed_any_more_keeps_no_place() -> None:
    verdicts = [GOOD, UNKNOWN, UNKNOWN, BAD, UNKNOWN, BAD]

    assert len(origin_rules.next_places(verdicts, {4}, 1)) == 1


def test_a_test_that_broke_twice_is_searched_after_it_was_mended() -> None:
    verdicts = [GOOD, BAD, GOOD, UNKNOWN, BAD]

    assert origin_rules.interval(verdicts) == (2, 4)


def test_between_commits_that_cannot_be_tested_nobody_is_blamed() -> None:
    verdicts = [GOOD, UNTESTABLE, UNTESTABLE, BAD]

    assert origin_rules.culprit(verdicts) is None
    assert origin_rules.unknown_between(verdicts) == []


def test_minutes_are_told_only_where_somebody_knows_how_long_a_build_takes() -> None:
    cost = Cost(builds=4, rounds=2)

    assert (cost.minutes(90_000), cost.wait_minutes(90_000), cost.minutes(None)) == (6, 3, None)
