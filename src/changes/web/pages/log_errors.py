"""Lines of logs that tell what went wrong, of a project and one by one; and cards that are long."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page
from changes.people.rules import Scope
from changes.projects import queries
from changes.results import cards, log_error_notes, log_error_queries
from changes.results.log_error_queries import ErrorsAsked
from changes.web import call, paging
from changes.web.call import Call
from changes.web.pages import builds, drawing, forms, told
from changes.web.pages.projects import frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PER_PAGE, BUILDS_PER_PAGE = 50, 30
DAYS = [("1", "A day"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days")]
WEAK = [("", "What tells why"), ("1", "Also what only follows")]
FIELDS = ("note", "tracker_url")
PROJECT = "/projects/{slug}/log-errors/"
ONE = f"{PROJECT}{{error_id:uuid}}/"


class Shown(Parameters):
    days: Annotated[str, Field(pattern="^(1|7|30|90|)$")] = ""
    weak: Annotated[str, Field(pattern="^(1|)$")] = ""
    query: str = ""

    def wanted(self) -> ErrorsAsked:
        return ErrorsAsked(int(self.days or "30"), self.query.strip(), bool(self.weak))


class Noted(Parameters):
    note: str = ""
    tracker_url: str = ""


@pages.get(PROJECT)
def show_of_project(request: Request, slug: str, asked: Annotated[Shown, parameters(Shown)]) -> Response:
    page = paging.page_of(request, size=PER_PAGE)
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        part = log_error_queries.listed(this.session, project, page, asked.wanted())
        newer, older = paging.newer_and_older(request, page, part)
        values = {
            **frame_of(project),
            "seen": part.rows,
            "newer": newer,
            "older": older,
            "asked": asked,
            "days": asked.days or "30",
            "is_filtered": bool(asked.weak or asked.query or asked.days),
            "day_choices": DAYS,
            "weak_choices": WEAK,
        }
        return drawing.page(request, "log_errors.html", values)


@pages.get(ONE)
def show_error(request: Request, slug: str, error_id: UUID) -> Response:
    page = paging.page_of(request, size=BUILDS_PER_PAGE)
    with call.reading(request) as this:
        values = told_of(request, this, slug, error_id, page)
        return drawing.page(request, "log_error.html", {**values, **forms.RIGHT})


def told_of(request: Request, this: Call, slug: str, error_id: UUID, page: Page) -> dict[str, Any]:
    project = queries.project(this.session, slug)
    error = log_error_queries.error(this.session, project, error_id)
    part = log_error_queries.builds_of(this.session, error, page)
    newer, older = paging.newer_and_older(request, page, part)
    return {
        **frame_of(project),
        "error": error,
        "builds": part.rows,
        "newer": newer,
        "older": older,
        "asked": Noted(note=error.note, tracker_url=error.tracker_url),
        "fields": FIELDS,
    }


@pages.post(f"{ONE}note/")
def note(request: Request, slug: str, error_id: UUID, asked: Annotated[Noted, parameters(Noted)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            error = log_error_queries.error(this.session, project, error_id)
            log_error_notes.say(this.session, error, asked.note, asked.tracker_url, by=this.caller.asker)
            where = f"/projects/{project.slug}/log-errors/{error.outside_id.hex}/"
            return this.go(where, "It is told wherever this line is seen.")
    except Invalid as error:
        with call.open_to_all(request) as this:
            values = told_of(request, this, slug, error_id, Page(1, BUILDS_PER_PAGE))
            return forms.again(request, "log_error.html", {**values, "asked": asked}, error)


@pages.get("/projects/{slug}/builds/{reference}/cards/{key}/")
def show_card(request: Request, slug: str, reference: str, key: str) -> Response:
    """One that is too long for the page of its build."""
    with call.reading(request) as this:
        build = builds.find(this.session, slug, reference).build
        found = next((card for card in cards.of_build(this.session, build.id) if card.key == key), None)
        if found is None:
            raise NotFound("The build has no such card.")
        [shown] = told.posted(this.session, [found], is_whole=True)
        values = {**builds.frame_of(build), "card": found, "tone": shown.tone, "text": shown.text}
        return drawing.page(request, "build_card.html", values)
