from datetime import UTC, datetime

import pytest

from changes.results import read_times

NOW_MS = 1_000_000


def test_times_come_by_our_clock_and_for_the_whole_log() -> None:
    assert read_times.read("0:3000,60:1000", offset=40, size=100, now_ms=NOW_MS) == [
        40,
        997_000,
        100,
        999_000,
    ]


@pytest.mark.parametrize("told", ["", "x", "1:2:3", "0:1,", "-1:5", "0:" + "9" * 13, "0:1," * 1001 + "0:1"])
def test_what_makes_no_sense_is_left_out(told: str) -> None:
    assert read_times.read(told, offset=0, size=100, now_ms=NOW_MS) == []


def test_bytes_that_did_not_come_have_no_time() -> None:
    assert read_times.read("0:5,500:1", offset=0, size=100, now_ms=NOW_MS) == [0, 999_995]


def test_the_rest_of_a_piece_keeps_the_time_of_its_first_byte() -> None:
    assert read_times.since([0, 10, 50, 20, 90, 30], 60) == [60, 20, 90, 30]
    assert read_times.since([0, 10, 50, 20], 50) == [50, 20]
    assert read_times.since([], 50) == []


def test_times_are_points_in_time() -> None:
    assert read_times.pairs([0, 1_700_000_000_000]) == [(0, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))]
    assert read_times.pairs(None) == []
