"""What was decided about commits and patches, and what builds a project by itself."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import ids
from changes.base.db import Session
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.process import settings
from changes.builds import hooks, schedules, triggers_queries
from changes.people.rules import Scope
from changes.projects import queries
from changes.projects.models import Project
from changes.web import call, paging
from changes.web.pages import drawing, forms
from changes.web.pages.projects import frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
TEMPLATE = "triggers.html"
PER_PAGE = 30
ONLY = [("", "All"), ("built", "Built"), ("skipped", "Not built")]
FIELDS = ("name", "cron", "zone", "branch", "jitter_min", "hook_name")


class Shown(Parameters):
    only: Annotated[str, Field(pattern="^(built|skipped|)$")] = ""


class NewSchedule(Parameters):
    name: str = ""
    cron: str = ""
    zone: str = "UTC"
    branch: str = ""
    jitter_min: str = ""
    only_if_changed: str = ""

    def wanted(self) -> schedules.Wanted:
        spread = self.jitter_min.strip() or "0"
        if not spread.isascii() or not spread.isdecimal():
            raise Invalid("A whole number of minutes.", ["jitter_min"])
        return schedules.Wanted(
            self.name, self.cron, self.zone, self.branch, int(spread[:9]), bool(self.only_if_changed)
        )


class NewHook(Parameters):
    hook_name: str = ""


class Which(Parameters):
    id: str = ""


@pages.get("/projects/{slug}/triggers/")
def show_triggers(request: Request, slug: str, asked: Annotated[Shown, parameters(Shown)]) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        values = values_of(request, this.session, project, asked.only)
        return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})


def values_of(
    request: Request, session: Session, project: Project, only: str = "", **typed: Any
) -> dict[str, Any]:
    page = paging.page_of(request, size=PER_PAGE, by_id=True)
    part = triggers_queries.decisions(session, project, page, only=only)
    newer, older = paging.newer_and_older(request, page, part)
    return {
        **frame_of(project),
        "told": [triggers_queries.told(each) for each in part.rows],
        "only": only,
        "only_choices": ONLY,
        "newer": newer,
        "older": older,
        "schedules": schedules.of(session, project),
        "hooks": hooks.of(session, project),
        "hook_base": f"{settings.get().base_url}/api/0/hooks/",
        "asked": NewSchedule(),
        "asked_hook": NewHook(),
        "secret": "",
        "fields": FIELDS,
        **typed,
    }


def again(request: Request, slug: str, error: Invalid | Conflict, **typed: Any) -> Response:
    with call.open_to_all(request) as this:
        values = values_of(request, this.session, queries.project(this.session, slug), **typed)
        return forms.again(request, TEMPLATE, values, error)


@pages.post("/projects/{slug}/triggers/schedules/")
def create_schedule(
    request: Request, slug: str, asked: Annotated[NewSchedule, parameters(NewSchedule)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            made = schedules.create(this.session, project, asked.wanted())
            return this.go(f"/projects/{project.slug}/triggers/#schedules", f"{made.name} is planned.")
    except (Invalid, Conflict) as error:
        return again(request, slug, error, asked=asked)


@pages.post("/projects/{slug}/triggers/schedules/remove/")
def drop_schedule(request: Request, slug: str, asked: Annotated[Which, parameters(Which)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = queries.project(this.session, slug)
        forms.require_project(this, project)
        try:
            schedules.drop(this.session, schedules.find(this.session, project, ids.parse(asked.id)))
        except NotFound:
            return this.go(f"/projects/{project.slug}/triggers/#schedules", "It was gone already.")
        return this.go(f"/projects/{project.slug}/triggers/#schedules", "The schedule is removed.")


@pages.post("/projects/{slug}/triggers/hooks/")
def create_hook(request: Request, slug: str, asked: Annotated[NewHook, parameters(NewHook)]) -> Response:
    """Drawn at once, because its secret is shown this one time."""
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            _, secret = hooks.create(this.session, project, asked.hook_name)
            values = values_of(request, this.session, project, secret=secret)
            return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})
    except (Invalid, Conflict) as error:
        wrong = type(error)(error.message, ["hook_name" for _ in error.problems])
        return again(request, slug, wrong, asked_hook=asked)


@pages.post("/projects/{slug}/triggers/hooks/remove/")
def drop_hook(request: Request, slug: str, asked: Annotated[Which, parameters(Which)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = queries.project(this.session, slug)
        forms.require_project(this, project)
        try:
            hooks.drop(this.session, project, ids.parse(asked.id))
        except NotFound:
            return this.go(f"/projects/{project.slug}/triggers/#hooks", "It was gone already.")
        return this.go(f"/projects/{project.slug}/triggers/#hooks", "The webhook is removed.")
