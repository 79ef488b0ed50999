import pytest

from changes.agent.read_times import TOLD_MAX, ReadTimes

START_S = 1000.0


class Clock:
    def __init__(self) -> None:
        self.now_s = START_S

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("changes.agent.read_times.time", made)
    return made


def noted(clock: Clock, times: ReadTimes, *reads: tuple[int, float]) -> None:
    for offset, at_s in reads:
        clock.now_s = START_S + at_s
        times.note(offset)


def test_each_read_is_told_by_how_long_ago_it_was(clock: Clock) -> None:
    times = ReadTimes()
    noted(clock, times, (0, 0), (100, 2))
    clock.now_s = START_S + 3

    assert times.told(0, 150) == "0:3000,100:1000"


def test_a_piece_that_begins_within_a_read_has_the_time_of_that_read(clock: Clock) -> None:
    times = ReadTimes()
    noted(clock, times, (0, 0), (100, 2))
    clock.now_s = START_S + 3

    assert times.told(40, 150) == "0:3000,60:1000"
    assert times.told(120, 150) == "0:1000"


def test_reads_at_one_moment_are_one(clock: Clock) -> None:
    times = ReadTimes()
    noted(clock, times, (0, 0), (10, 0.001), (20, 0.002), (30, 1))

    assert times.told(0, 40) == "0:1000,30:0"


def test_of_very_many_reads_some_are_told(clock: Clock) -> None:
    times = ReadTimes()
    noted(clock, times, *((offset, float(offset)) for offset in range(5000)))

    told = times.told(0, 5000).split(",")

    assert len(told) <= TOLD_MAX
    assert told[0] == "0:4999000"


def test_nothing_is_told_of_what_was_read_before_the_agent_started(clock: Clock) -> None:
    assert ReadTimes().told(0, 100) == ""
