"""The first page: what I build and what waits for me, then what everybody builds, and what is red."""

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.db import Session
from changes.base.paging import Page
from changes.builds import glance, mine, queries
from changes.builds.mine import Mine
from changes.builds.models import Build
from changes.web import call
from changes.web.auth import Caller
from changes.web.pages import drawing, story
from changes.web.pages.projects import rows
from changes.web.pages.story import Estimate

pages = APIRouter()
TEAM_BUILDS = 12
RED_PROJECTS = 12
NOTHING = Mine([], [], [])


@pages.get("/")
def home(request: Request) -> Response:
    with call.reading(request) as this:
        my = of_caller(this.session, this.caller)
        team = queries.builds(this.session, Page(size=TEAM_BUILDS)).rows
        waiting, running = glance.queue(this.session)
        values = {
            "mine": my,
            **rows(this.session, [*my.newest, *my.red, *my.running, *team]),
            "team": team,
            "estimates": estimates([*my.running, *team]),
            "queue": {"waiting": waiting, "running": running},
            "red_projects": glance.red_projects(this.session, limit=RED_PROJECTS),
            "project_count": glance.counts(this.session)[0],
        }
        return drawing.page(request, "home.html", values)


def of_caller(session: Session, caller: Caller) -> Mine:
    """A token is a program; its name is no address."""
    is_person = caller.user_id is not None and caller.token_id is None
    return mine.mine(session, caller.name) if is_person else NOTHING


def estimates(builds: Iterable[Build]) -> dict[str, Estimate]:
    now = clock.now()
    told = {build.id.hex: story.estimate(build, now) for build in builds}
    return {build_id: estimate for build_id, estimate in told.items() if estimate is not None}
