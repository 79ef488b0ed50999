"""Flaky tests of a project, what they cost, and those that may fail for a while."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base import ids
from changes.base.db import Session
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.paging import Page
from changes.people.rules import Scope
from changes.projects import queries
from changes.projects.models import Project
from changes.results import flaky, quarantine, quarantine_rules, run_numbers
from changes.results.quarantine import Wanted
from changes.results.verdict_models import TestFlakiness
from changes.web import call, paging
from changes.web.pages import drawing, forms
from changes.web.pages.projects import frame_of
from changes.web.params import Flag, Parameters, parameters

pages = APIRouter()
TEMPLATE = "flaky.html"
PER_PAGE, ENDED_SHOWN = 30, 20
FIELDS = ("tests", "owner", "reason", "days", "passes", "force")
ENDINGS = {
    quarantine.EXPIRED: "its time was over",
    quarantine.PROVED: "it passed often enough in a row",
    quarantine.LIFTED: "lifted",
}


class Shown(Parameters):
    # The tests that the form begins with.
    test: str = ""


class NewQuarantine(Parameters):
    tests: str = ""
    owner: str = ""
    reason: str = ""
    days: str = str(quarantine_rules.DAYS_DEFAULT)
    passes: str = str(quarantine_rules.PASSES_DEFAULT)
    force: Flag = False

    def wanted(self) -> Wanted:
        names = [line.strip() for line in self.tests.splitlines() if line.strip()]
        days, passes = whole_number(self.days, "days"), whole_number(self.passes, "passes")
        return Wanted(names, self.owner, self.reason, days=days, passes=passes, force=self.force)


class Which(Parameters):
    id: str = ""


def whole_number(text: str, name: str) -> int:
    number = text.strip()
    if not number.isascii() or not number.isdecimal():
        raise Invalid("A whole number.", [name])
    return int(number[:9])


@pages.get("/projects/{slug}/flaky/")
def show_flaky(request: Request, slug: str, asked: Annotated[Shown, parameters(Shown)]) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        typed = NewQuarantine(tests=asked.test)
        values = values_of(request, this.session, project, typed)
        return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})


def values_of(request: Request, session: Session, project: Project, typed: NewQuarantine) -> dict[str, Any]:
    page = paging.page_of(request, size=PER_PAGE)
    part = flaky.listed(session, project, page)
    newer, older = paging.newer_and_older(request, page, part)
    ended = quarantine.ended_list(session, project, Page(1, ENDED_SHOWN))
    return {
        **frame_of(project),
        "flaky": [row(each) for each in part.rows],
        "held": flaky.held(session, part.rows),
        "bill": flaky.bill(session, project),
        "period_days": flaky.PERIOD_DAYS,
        "live": quarantine.live_list(session, project),
        "ended": ended.rows,
        "endings": ENDINGS,
        "newer": newer,
        "older": older,
        "asked": typed,
        "fields": FIELDS,
    }


def row(each: TestFlakiness) -> dict[str, Any]:
    return {
        "it": each,
        "test": each.test,
        "why": "; ".join(flaky.told(each)),
        "date_last": run_numbers.made_at(each.last_run),
    }


@pages.post("/projects/{slug}/flaky/quarantine/")
def add(request: Request, slug: str, asked: Annotated[NewQuarantine, parameters(NewQuarantine)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            made = quarantine.add(this.session, project, asked.wanted(), by=this.caller.asker)
            words = "1 test is" if len(made) == 1 else f"{len(made)} tests are"
            return this.go(f"/projects/{project.slug}/flaky/#quarantine", f"{words} in quarantine.")
    except (Invalid, Conflict, NotFound) as error:
        with call.open_to_all(request) as this:
            project = queries.project(this.session, slug)
            wrong = Invalid(error.message, error.problems or ["tests"])
            values = values_of(request, this.session, project, asked)
            return forms.again(request, TEMPLATE, values, wrong)


@pages.post("/projects/{slug}/flaky/quarantine/lift/")
def lift(request: Request, slug: str, asked: Annotated[Which, parameters(Which)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = queries.project(this.session, slug)
        forms.require_project(this, project)
        found = quarantine.lift(this.session, project, ids.parse(asked.id), by=this.caller.asker)
        where = f"/projects/{project.slug}/flaky/#quarantine"
        return this.go(where, f"{found.test.name[:80]} counts again.")
