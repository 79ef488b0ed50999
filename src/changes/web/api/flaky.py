"""Which tests are flaky and what that costs; which may fail for a while."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.people.rules import Scope
from changes.projects import queries
from changes.results import flaky, quarantine, quarantine_rules
from changes.web import call, paging, verdict_shapes
from changes.web.params import Flag, Parameters, TextList, documented, documented_query, parameters

api = APIRouter(prefix="/projects", tags=["flaky tests"])


class NewQuarantine(Parameters):
    """Tests by their full names, or the sha1 of these."""

    tests: TextList = []
    owner: Annotated[str, Field(description="who mends them")] = ""
    reason: str = ""
    days: Annotated[int, Field(description="until they return by themselves")] = quarantine_rules.DAYS_DEFAULT
    passes: Annotated[int, Field(description="so many in a row let them return earlier")] = (
        quarantine_rules.PASSES_DEFAULT
    )
    force: Annotated[Flag, Field(description="also when it looks like one fault of many tests")] = False

    def wanted(self) -> quarantine.Wanted:
        return quarantine.Wanted(
            self.tests, self.owner, self.reason, days=self.days, passes=self.passes, force=self.force
        )


@api.get("/{project_id}/flaky/", openapi_extra=documented_query(paged=True))
def list_flaky(request: Request, project_id: str) -> Response:
    """The worst first, each with its evidence; and the bill of all."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = flaky.listed(this.session, project, page)
        held = flaky.held(this.session, part.rows)
        tests = [verdict_shapes.flaky_test(each, held) for each in part.rows]
        told = {"bill": verdict_shapes.bill(flaky.bill(this.session, project)), "tests": tests}
        return this.answer(told, headers=paging.link_header(request, page, part))


class Held(Parameters):
    test: Annotated[str, Field(description="only this one, by its full name or the sha1 of it")] = ""


@api.get("/{project_id}/quarantine/", openapi_extra=documented_query(Held, paged=True))
def list_quarantine(request: Request, project_id: str, asked: Annotated[Held, parameters(Held)]) -> Response:
    """Who is in it; and page by page what has ended, newest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = quarantine.ended_list(this.session, project, page)
        live = quarantine.live_list(this.session, project, test=asked.test)
        told = {
            "live": [verdict_shapes.quarantine(each) for each in live],
            "ended": [verdict_shapes.quarantine(each) for each in part.rows],
        }
        return this.answer(told, headers=paging.link_header(request, page, part))


@api.post("/{project_id}/quarantine/", openapi_extra=documented(NewQuarantine))
def add_to_quarantine(
    request: Request, project_id: str, asked: Annotated[NewQuarantine, parameters(NewQuarantine)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        made = quarantine.add(this.session, project, asked.wanted(), by=this.caller.asker)
        return this.answer([verdict_shapes.quarantine(each) for each in made], 201)


@api.delete("/{project_id}/quarantine/{quarantine_id:uuid}/")
def lift_quarantine(request: Request, project_id: str, quarantine_id: UUID) -> Response:
    """The test counts again from now on."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        quarantine.lift(this.session, project, quarantine_id, by=this.caller.asker)
        return this.answer_nothing()
