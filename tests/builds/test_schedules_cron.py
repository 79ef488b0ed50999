"""Lines of cron against the calendar, also where clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base.errors import Invalid
from changes.builds import schedules_cron

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
ZONES = ("UTC", BERLIN, NEW_YORK, "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia")


def due(line: str, zone: str, after: str, count: int = 1) -> list[str]:
    """In the time of the place."""
    place = schedules_cron.zone(zone)
    moment, found = datetime.fromisoformat(after).astimezone(UTC), []
    for _ in range(count):
        moment = schedules_cron.next_due(schedules_cron.parse(line), place, moment)
        found.append(moment.astimezone(place).strftime("%m-%d %H:%M%z"))
    return found


DUE = [
    ("30 2 * * 1-5", "UTC", "2026-11-20T03:00+00:00", ["11-23 02:30+0000"]),
    ("*/20 9-10 * * *", "UTC", "2026-01-01T10:30+00:00", ["01-01 10:40+0000", "01-02 09:00+0000"]),
    (
        "0 0 1 * mon",
        "UTC",
        "2026-11-21T00:00+00:00",
        ["11-23 00:00+0000", "11-30 00:00+0000", "12-01 00:00+0000"],
    ),
    ("0 12 29 feb *", "UTC", "2026-01-01T00:00+00:00", ["02-29 12:00+0000"]),
    ("0 0 * * 7", "UTC", "2026-11-21T00:00+00:00", ["11-22 00:00+0000"]),
    ("@daily", BERLIN, "2026-07-01T00:00+02:00", ["07-02 00:00+0200"]),
    # Clocks go from 2 to 3 on the 29th of March.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 03:30+0200", "03-30 02:30+0200"]),
    ("0 * * * *", BERLIN, "2026-03-29T01:00+01:00", ["03-29 03:00+0200", "03-29 04:00+0200"]),
    # And from 3 to 2 on the 25th of October.
    ("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
    (
        "30 * * * *",
        BERLIN,
        "2026-10-25T01:30+02:00",
        ["10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"],
    ),
    ("0 0 * * *", "America/Havana", "2026-03-07T12:00-05:00", ["03-08 01:00-0400", "03-09 00:00-0400"]),
]


@pytest.mark.parametrize(("line", "zone", "after", "expected"), DUE, ids=range(len(DUE)))
def test_it_is_due_when_the_calendar_of_the_place_says(
    line: str, zone: str, after: str, expected: list[str]
) -> None:
    assert due(line, zone, after, len(expected)) == expected


WRONG = [
    ("* * * *", "five fields"),
    ("", "five fields"),
    ("60 * * * *", "'60' is no minute: it is a number from 0 to 59"),
    ("* 24 * * *", "'24' is no hour"),
    ("* * 0 * *", "'0' is no day of the month"),
    ("* * * foo *", "'foo' is no month"),
    ("5-1 * * * *", "'5-1' ends before it begins"),
    ("*/0 * * * *", "a step is at least 1"),
    ("*-5 * * * *", "a range has a number at both ends"),
    ("1,,2 * * * *", "'' is no minute"),
    ("0 0 30 2 *", "is never due"),
    ("@reboot", "five fields"),
    ("\u0661 * * * *", "is no minute"),
    ("* " * 500, "five fields"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_in_words(line: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        schedules_cron.parse(line)

    assert said in refused.value.message


@pytest.mark.parametrize("name", ["Berlin", "../../etc/passwd", "", "/etc/localtime", "x" * 5000, "a\0b"])
def test_a_place_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="There is no time zone"):
        schedules_cron.zone(name)


FIELD = st.sampled_from(["*", "*/7", "0", "5,20", "3-9/2"])
LINES = st.builds(
    lambda minute, hour, day, month, weekday: f"{minute} {hour} {day} {month} {weekday}",
    FIELD,
    FIELD,
    st.sampled_from(["*", "1", "13", "*/5"]),
    st.sampled_from(["*", "2,11", "mar-oct"]),
    st.sampled_from(["*", "1-5", "sun"]),
)
MOMENTS = st.datetimes(datetime(2019, 1, 1), datetime(2035, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis takes naive ones


@given(LINES, st.sampled_from(ZONES), MOMENTS)
def test_the_next_moment_is_later_fits_and_has_none_before_it(line: str, zone: str, after: datetime) -> None:
    cron, place = schedules_cron.parse(line), ZoneInfo(zone)

    found = schedules_cron.next_due(cron, place, after)

    assert found > after
    assert schedules_cron.next_due(cron, place, after + (found - after) / 2) == found
    local = found.astimezone(place)
    is_shifted = local.minute not in cron.minutes or local.hour not in cron.hours
    if is_shifted:
        # Only where clocks went forward in the hours before.
        assert local.utcoffset() != (found - timedelta(hours=3)).astimezone(place).utcoffset()
    else:
        assert cron.is_on(local.date())


@given(st.text(alphabet="0123456789*,-/ @abcmonsu", max_size=30))
def test_no_line_at_all_makes_it_stumble(line: str) -> None:
    try:
        cron = schedules_cron.parse(line)
    except Invalid:
        return
    first = datetime(2026, 1, 1, tzinfo=UTC)
    assert schedules_cron.next_due(cron, ZoneInfo("UTC"), first) > first
