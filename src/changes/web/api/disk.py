"""/disk/: how much room there is, where the bytes are, and whether steps are handed out."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from changes.base import clock, room
from changes.people.rules import Scope
from changes.results import disk_use
from changes.web import call, shapes

api = APIRouter(tags=["retention"])
DAYS_TOLD = 90


@api.get("/disk/")
def show_disk(request: Request) -> Response:
    """As it was measured last; sizes by kind and project once an hour, the rest every 15 s."""
    with call.begin(request, Scope.ADMIN) as this:
        seen = room.current(this.session)
        newest = disk_use.newest(this.session)
        days = disk_use.days(this.session, since=clock.now().date() - timedelta(days=DAYS_TOLD))
        kinds = disk_use.kinds_on(this.session, newest) if newest else []
        projects = disk_use.projects_on(this.session, newest) if newest else []
        return this.answer(
            {
                "isPaused": seen is not None and seen.is_paused,
                "why": (seen.sentence or None) if seen else None,
                "usedBytes": seen.used_bytes if seen else None,
                "databaseBytes": seen.database_bytes if seen else None,
                "places": seen.places if seen else [],
                "dateMeasured": shapes.when(seen.date_measured if seen else None),
                "kinds": [{"kind": each.kind, "bytes": each.size_bytes} for each in kinds],
                "projects": [{"project": each.slug, "bytes": each.sizes} for each in projects],
                "days": [{"day": day.isoformat(), "bytes": size} for day, size in days],
                "growthBytesPerDay": disk_use.growth_a_day(days),
            }
        )
