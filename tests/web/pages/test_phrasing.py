from datetime import UTC, datetime, timedelta

import pytest

from changes.web.pages import phrasing

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0.3804, "380 ms"),
        (4.21, "4.2 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
        (2 * 86400 + 3 * 3600, "2 d 3 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float | None, text: str) -> None:
    assert phrasing.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "just now"),
        (-3, "just now"),
        (300, "5 min ago"),
        (-300, "in 5 min"),
        (3 * 3600 + 59, "3 h ago"),
        (2 * 86400, "2 d ago"),
        (40 * 86400, "31 Jan 2026"),
    ],
)
def test_a_moment_is_told_by_its_distance_until_a_date_says_more(seconds: float, text: str) -> None:
    assert phrasing.ago(NOON - timedelta(seconds=seconds), NOON) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Olga Petrova", "OP"),
        ("Ravi", "R"),
        ("sam.lee@example.com", "SL"),
        ("Anna Maria von Stein", "AS"),
        ("", "?"),
        ("@", "?"),
    ],
)
def test_initials_are_those_of_the_first_and_the_last_word(name: str, text: str) -> None:
    assert phrasing.initials(name) == text


def test_one_thing_is_counted_without_an_s() -> None:
    assert [phrasing.counted(count, "test") for count in (0, 1, 1230)] == ["0 tests", "1 test", "1,230 tests"]
