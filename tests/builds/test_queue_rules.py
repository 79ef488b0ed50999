"""Pure decisions of the queue: who is a program, what a machine lacks, how long the line is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base import ids
from changes.builds.lanes import Arrival, Needs, Offer, read_notice
from changes.builds.queue_position import Estimate, LaneSeen, ahead, estimate
from changes.builds.queue_rules import is_automatic
from changes.builds.rules import Cause

COUNTS = st.integers(0, 50)
SECONDS = st.floats(0, 1000, allow_nan=False)


@pytest.mark.parametrize(
    ("cause", "tags", "email"),
    [
        (Cause.SNAPSHOT, [], "ann@example.com"),
        (Cause.UNKNOWN, ["Nightly"], "ann@example.com"),
        (Cause.PUSH, [], "49699333+dependabot[bot]@users.noreply.github.com"),
        (Cause.PUSH, [], "renovate@example.com"),
        (Cause.UNKNOWN, [], "release-bot@example.com"),
    ],
)
def test_programs_are_known_by_cause_tag_or_author(cause: Cause, tags: list[str], email: str) -> None:
    assert is_automatic(cause, tags, email)


@pytest.mark.parametrize("email", ["ann@example.com", "abbott@example.com", "ann@robotics.example", None])
def test_people_are_not_taken_for_programs(email: str | None) -> None:
    assert not is_automatic(Cause.MANUAL, ["patch"], email)


def test_a_machine_says_what_it_lacks() -> None:
    offer = Offer(frozenset({"linux"}), {"os": "debian"}, cpus=4, memory_mb=1000)

    assert offer.suits(Needs("linux", {"os": "debian"}, 4, 1000))
    assert offer.missing(Needs("mac", {"os": "arch"}, 5, 2000)) == [
        "cluster mac",
        "label os=arch",
        "5 cpus",
        "2000 MB of memory",
    ]


def test_of_a_machine_that_never_told_its_size_nothing_is_asked() -> None:
    assert Offer().suits(Needs(cpus=64, memory_mb=10**6))


def test_a_notice_tells_what_arrived() -> None:
    told = read_notice('[["linux", {"gpu": "1"}, 2, 0, 3], [null, null, 0, 0, 9]]')

    assert told == [Arrival(Needs("linux", {"gpu": "1"}, 2, 0), 3), Arrival(None, 9)]


def a_lane(waiting: int, **differs: object) -> LaneSeen:
    usual = {
        "id": ids.new(),
        "rank": (0, False),
        "project_id": ids.new(),
        "person_id": ids.new(),
        "project_start": 0.0,
        "person_start": 0.0,
    }
    return LaneSeen(waiting=waiting, **{**usual, **differs})  # type: ignore[arg-type]


def test_another_project_goes_first_as_often_as_it_is_its_turn() -> None:
    mine, other = a_lane(10), a_lane(100)

    before = ahead(mine, 4, [other])

    assert before == {mine.id: 4, other.id: 4}


def test_whoever_has_more_weight_goes_first_more_often() -> None:
    mine, heavy = a_lane(10), a_lane(100, weight=3.0)

    assert ahead(mine, 4, [heavy])[heavy.id] == 12


def test_all_of_what_is_more_urgent_comes_first_and_nothing_of_what_is_less() -> None:
    mine, urgent, low = a_lane(10), a_lane(7, rank=(-100, False)), a_lane(7, rank=(100, False))

    assert ahead(mine, 0, [urgent, low]) == {urgent.id: 7}


@given(place=COUNTS, waiting=st.lists(st.tuples(COUNTS, SECONDS, st.booleans()), max_size=6))
def test_never_more_come_first_than_wait(place: int, waiting: list[tuple[int, float, bool]]) -> None:
    mine = a_lane(place + 1)
    others = [
        a_lane(count, project_start=start, **({"project_id": mine.project_id} if is_mine else {}))
        for count, start, is_mine in waiting
    ]

    before = ahead(mine, place, others)

    assert before.get(mine.id, 0) == place
    assert all(before.get(lane.id, 0) <= lane.waiting for lane in others)


def test_the_first_in_line_starts_when_the_first_slot_is_free() -> None:
    assert estimate([], [(90.0, 0.0), (30.0, 0.0)], 2) == Estimate(30, 6)


def test_a_free_slot_is_taken_at_once() -> None:
    assert estimate([], [(90.0, 0.0)], 2) == Estimate(0, 0)


def test_without_slots_nothing_can_be_said() -> None:
    assert estimate([], [], 0) is None


@given(count=st.integers(0, 100_000), slots=st.integers(1, 50))
def test_a_long_line_is_the_work_ahead_divided_by_the_slots(count: int, slots: int) -> None:
    found = estimate([(count, 10.0, 0.0)], [], slots)

    assert found is not None
    assert abs(found.start_in_s - count * 10 / slots) <= 11
