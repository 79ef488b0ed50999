"""When a line of cron is due, in the time of a place. Pure.

Five fields (minute, hour, day of the month, month, day of the week) with lists, ranges, steps and
names, or one of the `@` words. A day fits when either of two restricted day fields fits, as cron has
it. Where clocks go forward, a time that does not exist is due when it would have been; where they go
back, a time that comes twice is due once, unless the line is for every hour.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from changes.base.errors import Invalid

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LENGTH_MAX = 200
# Eight years hold every 29th of February, also around a year 2100 that has none.
DAYS_MAX = 8 * 366 + 2
HOURS_OF_DAY = 24
PART = re.compile(r"(\*|[a-z0-9]{1,3})(?:-([a-z0-9]{1,3}))?(?:/(\d{1,3}))?")


@dataclass(frozen=True)
class Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 7, DAYS),
)


@dataclass(frozen=True)
class Cron:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    # 0 is Sunday.
    weekdays: frozenset[int]
    is_any_day: bool
    is_any_weekday: bool

    def is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.is_any_day or self.is_any_weekday:
            return in_month and in_week
        return in_month or in_week

    @property
    def is_for_every_hour(self) -> bool:
        return len(self.hours) == HOURS_OF_DAY


def parse(text: str) -> Cron:
    """Raises Invalid in words."""
    line = " ".join(text.lower().split())
    line = WORDS.get(line, line)
    parts = line.split(" ")
    if len(text) > LENGTH_MAX or len(parts) != len(FIELDS):
        raise Invalid(
            "A schedule has five fields: minute, hour, day of the month, month, day of the week;"
            f" or it is one of {', '.join(WORDS)}.",
            ["cron"],
        )
    minutes, hours, days, months, weekdays = (
        values(part, field) for part, field in zip(parts, FIELDS, strict=True)
    )
    found = Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        is_any_day=parts[2].startswith("*"),
        is_any_weekday=parts[4].startswith("*"),
    )
    if next_day(found, date(2000, 1, 1)) is None:
        raise Invalid(f"{text!r} is never due: no such day exists.", ["cron"])
    return found


def values(text: str, field: Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in of_part(part, field))


def of_part(part: str, field: Field) -> range:
    match = PART.fullmatch(part)
    if match is None:
        raise Invalid(f"{part!r} is no {field.name}, no range and no step of one.", ["cron"])
    begins, ends, step = match.groups()
    if begins == "*":
        if ends:
            raise Invalid(f"{part!r}: a range has a number at both ends.", ["cron"])
        least, most = field.least, field.most
    else:
        least = number(begins, field)
        most = number(ends, field) if ends else field.most if step else least
    if most < least:
        raise Invalid(f"{part!r} ends before it begins.", ["cron"])
    if step is not None and int(step) == 0:
        raise Invalid(f"{part!r}: a step is at least 1.", ["cron"])
    return range(least, most + 1, int(step or 1))


def number(text: str, field: Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.least
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        raise Invalid(
            f"{text!r} is no {field.name}: it is a number from {field.least} to {field.most}.", ["cron"]
        )
    return int(text)


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"There is no time zone {name[:80]!r}; they look like Europe/Berlin or UTC.", ["zone"]
        ) from None


def next_day(cron: Cron, first: date) -> date | None:
    day = first
    for _ in range(DAYS_MAX):
        if cron.is_on(day):
            return day
        day += timedelta(days=1)
    return None


def next_due(cron: Cron, place: ZoneInfo, after: datetime) -> datetime:
    """The first moment later than `after`, in UTC."""
    # A day before: where clocks change at midnight, a time of yesterday may be due today.
    day = next_day(cron, after.astimezone(place).date() - timedelta(days=1))
    while day is not None:
        later = [moment for moment in moments(cron, place, day) if moment > after]
        if later:
            return min(later)
        day = next_day(cron, day + timedelta(days=1))
    raise ValueError("a line of cron that parses is due within eight years")


def moments(cron: Cron, place: ZoneInfo, day: date) -> set[datetime]:
    found = set()
    for hour in cron.hours:
        for minute in cron.minutes:
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=place)
            moment = local.astimezone(UTC)
            exists = moment.astimezone(place).replace(tzinfo=None) == local.replace(tzinfo=None)
            if exists or not cron.is_for_every_hour:
                found.add(moment)
            if cron.is_for_every_hour and exists:
                found.add(local.replace(fold=1).astimezone(UTC))
    return found
