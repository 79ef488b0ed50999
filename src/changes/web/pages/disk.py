"""Where the bytes are, how fast they become more, and how much room is left; for administrators."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from changes.base import clock, room
from changes.base.db import Session
from changes.base.process import settings
from changes.people.rules import Scope
from changes.results import disk_use
from changes.web import call
from changes.web.pages import drawing, lines, phrasing
from changes.web.pages.lines import Line, LineChart

pages = APIRouter()
HERE = "/admin/disk/"
DAYS_SHOWN = 90
# Round figures for the edge of the chart, up to a petabyte.
TOPS = [float(factor * 10**power) for power in range(3, 15) for factor in (1, 2, 5)]
KINDS = ("artifacts", "logs", "caches", "snapshots")


@pages.get(HERE)
def show_disk(request: Request) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        return drawing.page(request, "disk.html", values(this.session))


def values(session: Session) -> dict[str, Any]:
    seen, newest = room.current(session), disk_use.newest(session)
    days = disk_use.days(session, since=clock.now().date() - timedelta(days=DAYS_SHOWN))
    growth = disk_use.growth_a_day(days)
    places = seen.places if seen is not None else []
    free_bytes = min((place["free_bytes"] for place in places), default=None)
    kinds = disk_use.kinds_on(session, newest) if newest else []
    return {
        "room": seen,
        "places": places,
        "quota_bytes": settings.get().disk_quota_bytes,
        "kinds": kinds,
        "kind_total": sum(each.size_bytes for each in kinds),
        "measured_at": disk_use.measured_at(kinds),
        "projects": disk_use.projects_on(session, newest) if newest else [],
        "project_kinds": KINDS,
        "growth": growth,
        "days_left": None if free_bytes is None else disk_use.days_left(free_bytes, growth),
        "chart": chart_of(days),
    }


def chart_of(days: Sequence[tuple[date, int]]) -> LineChart | None:
    """None where one day alone tells nothing; a day on which nobody measured is a gap."""
    if len(days) <= 1:
        return None
    sizes = dict(days)
    first, last = days[0][0], days[-1][0]
    shown = [first + timedelta(days=ago) for ago in range((last - first).days + 1)]
    stored = Line("Stored", "running", [sizes.get(day) for day in shown])
    return lines.chart(shown, [stored], TOPS, "bytes", lambda value: phrasing.size(round(value)))
