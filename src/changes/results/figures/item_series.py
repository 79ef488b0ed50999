"""One number about builds through time, as `/projects/<id>/stats/` of the original tells it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import ids

STATS = (
    "test_count",
    "test_duration",
    "test_failures",
    "test_rerun_count",
    "tests_missing",
    "lines_covered",
    "lines_uncovered",
    "diff_lines_covered",
    "diff_lines_uncovered",
)
MONTHS_OF_YEAR = 12


class Resolution(StrEnum):
    HOUR = "1h"
    DAY = "1d"
    WEEK = "1w"
    MONTH = "1m"


POINTS = {Resolution.HOUR: 24, Resolution.DAY: 30, Resolution.WEEK: 26, Resolution.MONTH: 12}
UNITS = {Resolution.HOUR: "hour", Resolution.DAY: "day", Resolution.WEEK: "week", Resolution.MONTH: "month"}
SPANS = {
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
    Resolution.WEEK: timedelta(weeks=1),
}
SERIES = """
select date_trunc('{unit}', build.date_created, 'UTC') as at, {agg}(stat.value)::float8 as value
from build
join source on source.id = build.source_id and source.patch_id is null
join item_stat stat on stat.item_id = build.id and stat.name = :stat
where build.project_id = :project_id and build.id >= :least_id and build.date_created >= :begin
    and build.date_created < :end and build.status = 3
group by 1
"""


@dataclass(frozen=True)
class Wanted:
    stat: str
    resolution: Resolution
    points: int
    is_sum: bool
    # Of the last point.
    until: datetime


def points_of(wanted: Wanted) -> list[datetime]:
    """When each begins, oldest first."""
    last = floor(wanted.until, wanted.resolution)
    return [back(last, wanted.resolution, steps) for steps in reversed(range(wanted.points))]


def floor(at: datetime, resolution: Resolution) -> datetime:
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if resolution == Resolution.HOUR:
        return at
    at = at.replace(hour=0)
    if resolution == Resolution.WEEK:
        return at - timedelta(days=at.weekday())
    return at.replace(day=1) if resolution == Resolution.MONTH else at


def back(at: datetime, resolution: Resolution, steps: int) -> datetime:
    if resolution != Resolution.MONTH:
        return at - SPANS[resolution] * steps
    months = at.year * MONTHS_OF_YEAR + at.month - 1 - steps
    return at.replace(year=months // MONTHS_OF_YEAR, month=months % MONTHS_OF_YEAR + 1)


def series(session: Session, project_id: UUID, wanted: Wanted) -> list[tuple[datetime, int]]:
    """Of finished builds of commits; nothing is zero."""
    points = points_of(wanted)
    end = back(points[-1], wanted.resolution, -1)
    asked = {
        "stat": wanted.stat,
        "project_id": project_id,
        # An id may be made a moment before its row.
        "least_id": ids.least_at(points[0] - timedelta(days=1)),
        "begin": points[0],
        "end": end,
    }
    query = SERIES.format(unit=UNITS[wanted.resolution], agg="sum" if wanted.is_sum else "avg")
    found = {row.at: row.value for row in session.execute(text(query), asked)}
    return [(at, round(found.get(at, 0))) for at in points]
