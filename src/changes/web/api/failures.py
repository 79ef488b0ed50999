"""Failures by what they have in common, and what people know of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.people.rules import Scope
from changes.projects import queries
from changes.results import cause_queries, causes
from changes.results.cause_queries import DAYS, CausesAsked
from changes.web import call, paging, verdict_shapes
from changes.web.params import Parameters, documented, documented_query, parameters

api = APIRouter(tags=["failures"])


class Asked(Parameters):
    days: Annotated[int, Field(ge=1, le=DAYS[-1], description="seen within so many days")] = 7
    only: Annotated[str, Field(pattern="^(known|unknown|)$")] = ""
    query: Annotated[str, Field(description="a part of the headline or of the note")] = ""

    def wanted(self) -> CausesAsked:
        return CausesAsked(self.days, self.only, self.query.strip())


class Verdict(Parameters):
    """What is known of it. What is left out becomes empty."""

    note: str = ""
    tracker_url: Annotated[str, Field(alias="trackerUrl")] = ""
    verdict: Annotated[str, Field(description=", ".join(causes.VERDICTS))] = ""

    def told(self) -> causes.Told:
        return causes.Told(self.note, self.tracker_url, self.verdict)


@api.get("/failures/", openapi_extra=documented_query(Asked, paged=True))
def list_all(request: Request, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    """Of all projects; those in most builds first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = cause_queries.listed(this.session, None, page, asked.wanted())
        found, headers = paging.shaped(request, page, part, verdict_shapes.cause_seen)
        return this.answer(found, headers=headers)


@api.get("/projects/{project_id}/failures/", openapi_extra=documented_query(Asked, paged=True))
def list_of_project(
    request: Request, project_id: str, asked: Annotated[Asked, parameters(Asked)]
) -> Response:
    """One cause, one row; those in most builds first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = cause_queries.listed(this.session, project, page, asked.wanted())
        found, headers = paging.shaped(request, page, part, verdict_shapes.cause_seen)
        return this.answer(found, headers=headers)


@api.get("/projects/{project_id}/failures/{cause_id:uuid}/")
def show_cause(request: Request, project_id: str, cause_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = cause_queries.cause(this.session, project, cause_id)
        seen = cause_queries.seen(this.session, found, project)
        tests = cause_queries.tests_of(this.session, found)
        shown = [{**verdict_shapes.test(test), "runs": runs} for test, runs in tests]
        message = cause_queries.example(this.session, found)
        return this.answer({**verdict_shapes.cause_seen(seen), "tests": shown, "message": message})


@api.get(
    "/projects/{project_id}/failures/{cause_id:uuid}/builds/", openapi_extra=documented_query(paged=True)
)
def list_builds(request: Request, project_id: str, cause_id: UUID) -> Response:
    """Where it was seen, newest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = cause_queries.cause(this.session, project, cause_id)
        part = cause_queries.builds_of(this.session, found, page)
        shown, headers = paging.shaped(request, page, part, verdict_shapes.build_seen)
        return this.answer(shown, headers=headers)


@api.post("/projects/{project_id}/failures/{cause_id:uuid}/", openapi_extra=documented(Verdict))
def say(
    request: Request, project_id: str, cause_id: UUID, asked: Annotated[Verdict, parameters(Verdict)]
) -> Response:
    """A note, the address of a ticket, a verdict: told wherever it is seen from now on."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        found = cause_queries.cause(this.session, project, cause_id)
        causes.say(this.session, found, asked.told(), by=this.caller.asker)
        return this.answer(verdict_shapes.cause(found))
