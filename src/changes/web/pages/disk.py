"""Where the bytes are, how fast they become more, and how much room is left; for administrators."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from changes.base import clock, room
from changes.base.db import Session
from changes.base.process import settings
from changes.people.rules import Scope
from changes.results import disk_use
from changes.web import call
from changes.web.pages import drawing

pages = APIRouter()
HERE = "/admin/disk/"
DAYS_SHOWN = 90
# Of the drawing; it is stretched to its place.
WIDTH, HEIGHT = 1000, 120
KINDS = ("artifacts", "logs", "caches", "snapshots")


@dataclass(frozen=True)
class Drawing:
    """A line of sizes over days, as a path within WIDTH and HEIGHT."""

    path: str
    first: date
    last: date
    top_bytes: int


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
        "chart": drawn(days),
    }


def drawn(days: list[tuple[date, int]]) -> Drawing | None:
    """None where one day alone tells nothing."""
    if len(days) <= 1:
        return None
    (first, _), (last, _) = days[0], days[-1]
    top = max(size for _, size in days) or 1
    span = (last - first).days
    points = [
        f"{(day - first).days * WIDTH / span:.1f} {HEIGHT - size * HEIGHT / top:.1f}" for day, size in days
    ]
    return Drawing("M" + "L".join(points), first, last, top)
