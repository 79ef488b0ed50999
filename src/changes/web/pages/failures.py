"""Failures by what they have in common: one cause, one row; and one cause with all it did."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.base.paging import Page
from changes.people.rules import Scope
from changes.projects import queries
from changes.projects.models import Project
from changes.results import cause_queries, causes
from changes.results.cause_queries import CausesAsked
from changes.web import call, paging
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.projects import frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PER_PAGE, BUILDS_PER_PAGE = 50, 30
MESSAGE_CHARACTERS = 20_000
DAYS = [("1", "A day"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days")]
ONLY = [("", "All"), ("unknown", "Nobody looked yet"), ("known", "Known")]
VERDICTS = [("", "None yet"), *causes.VERDICTS.items()]
FIELDS = ("note", "tracker_url", "verdict")


class Shown(Parameters):
    days: Annotated[str, Field(pattern="^(1|7|30|90|)$")] = ""
    only: Annotated[str, Field(pattern="^(known|unknown|)$")] = ""
    query: str = ""

    def wanted(self) -> CausesAsked:
        return CausesAsked(int(self.days or "7"), self.only, self.query.strip())


class Noted(Parameters):
    note: str = ""
    tracker_url: str = ""
    verdict: str = ""


@pages.get("/failures/")
def show_all(request: Request, asked: Annotated[Shown, parameters(Shown)]) -> Response:
    with call.reading(request) as this:
        return drawing.page(request, "failures.html", listed(request, this.session, None, asked))


@pages.get("/projects/{slug}/failures/")
def show_of_project(request: Request, slug: str, asked: Annotated[Shown, parameters(Shown)]) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        values = listed(request, this.session, project, asked)
        return drawing.page(request, "project_failures.html", {**frame_of(project), **values})


def listed(request: Request, session: Session, project: Project | None, asked: Shown) -> dict[str, Any]:
    page = paging.page_of(request, size=PER_PAGE)
    part = cause_queries.listed(session, project, page, asked.wanted())
    newer, older = paging.newer_and_older(request, page, part)
    return {
        "seen": part.rows,
        "newer": newer,
        "older": older,
        "asked": asked,
        "days": asked.days or "7",
        "is_filtered": bool(asked.only or asked.query or asked.days),
        "day_choices": DAYS,
        "only_choices": ONLY,
        "verdicts": causes.VERDICTS,
    }


@pages.get("/projects/{slug}/failures/{cause_id:uuid}/")
def show_cause(request: Request, slug: str, cause_id: UUID) -> Response:
    page = paging.page_of(request, size=BUILDS_PER_PAGE)
    with call.reading(request) as this:
        values = told(request, this, slug, cause_id, page)
        return drawing.page(request, "failure.html", {**values, **forms.RIGHT})


def told(request: Request, this: Call, slug: str, cause_id: UUID, page: Page) -> dict[str, Any]:
    project = queries.project(this.session, slug)
    cause = cause_queries.cause(this.session, project, cause_id)
    part = cause_queries.builds_of(this.session, cause, page)
    newer, older = paging.newer_and_older(request, page, part)
    return {
        **frame_of(project),
        "cause": cause,
        "seen": cause_queries.seen(this.session, cause, project),
        "tests": cause_queries.tests_of(this.session, cause),
        "said": cause_queries.example(this.session, cause)[:MESSAGE_CHARACTERS],
        "builds": part.rows,
        "newer": newer,
        "older": older,
        "verdicts": causes.VERDICTS,
        "verdict_choices": VERDICTS,
        "asked": Noted(note=cause.note, tracker_url=cause.tracker_url, verdict=cause.verdict),
        "fields": FIELDS,
    }


@pages.post("/projects/{slug}/failures/{cause_id:uuid}/note/")
def note(request: Request, slug: str, cause_id: UUID, asked: Annotated[Noted, parameters(Noted)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            cause = cause_queries.cause(this.session, project, cause_id)
            said = causes.Told(asked.note, asked.tracker_url, asked.verdict)
            causes.say(this.session, cause, said, by=this.caller.asker)
            where = f"/projects/{project.slug}/failures/{cause.outside_id.hex}/"
            return this.go(where, "It is told wherever this failure is seen.")
    except Invalid as error:
        with call.open_to_all(request) as this:
            values = told(request, this, slug, cause_id, Page(1, BUILDS_PER_PAGE))
            return forms.again(request, "failure.html", {**values, "asked": asked}, error)
