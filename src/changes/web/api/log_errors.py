"""What went wrong, by the lines of logs that tell it: of a build and its parts, and of a project."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import queries as builds
from changes.people.rules import Scope
from changes.projects import queries
from changes.results import log_error_notes, log_error_queries
from changes.results.log_error_queries import DAYS, ErrorsAsked
from changes.web import call, log_error_shapes, paging
from changes.web.params import Flag, Parameters, documented, documented_query, parameters

api = APIRouter(tags=["errors in logs"])


class Asked(Parameters):
    days: Annotated[int, Field(ge=1, le=DAYS[-1], description="seen within so many days")] = 30
    query: Annotated[str, Field(description="a part of the line")] = ""
    weak: Annotated[Flag, Field(description="also what only follows from something else")] = False

    def wanted(self) -> ErrorsAsked:
        return ErrorsAsked(self.days, self.query.strip(), self.weak)


class Note(Parameters):
    """What is known of it. What is left out becomes empty."""

    note: str = ""
    tracker_url: Annotated[str, Field(alias="trackerUrl")] = ""


@api.get("/builds/{build_id:uuid}/errors/", openapi_extra=documented_query(paged=True))
def of_build(request: Request, build_id: UUID) -> Response:
    """Of all its logs; those that say most first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = log_error_queries.all_of_build(this.session, builds.build(this.session, build_id), page)
        shown, headers = paging.shaped(request, page, part, log_error_shapes.seen)
        return this.answer(shown, headers=headers)


@api.get("/jobs/{job_id:uuid}/errors/", openapi_extra=documented_query(paged=True))
def of_job(request: Request, job_id: UUID) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = log_error_queries.of_job(this.session, builds.job(this.session, job_id), page)
        shown, headers = paging.shaped(request, page, part, log_error_shapes.seen)
        return this.answer(shown, headers=headers)


@api.get("/jobsteps/{step_id:uuid}/errors/", openapi_extra=documented_query(paged=True))
def of_step(request: Request, step_id: UUID) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = log_error_queries.of_step(this.session, builds.step(this.session, step_id), page)
        shown, headers = paging.shaped(request, page, part, log_error_shapes.seen)
        return this.answer(shown, headers=headers)


@api.get("/projects/{project_id}/log_errors/", openapi_extra=documented_query(Asked, paged=True))
def of_project(request: Request, project_id: str, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    """Lines that are alike are one; those in most builds first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = log_error_queries.listed(this.session, project, page, asked.wanted())
        shown, headers = paging.shaped(request, page, part, log_error_shapes.listed)
        return this.answer(shown, headers=headers)


@api.get("/projects/{project_id}/log_errors/{error_id:uuid}/")
def show_error(request: Request, project_id: str, error_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = log_error_queries.error(this.session, project, error_id)
        return this.answer(log_error_shapes.error(found))


@api.get(
    "/projects/{project_id}/log_errors/{error_id:uuid}/builds/", openapi_extra=documented_query(paged=True)
)
def list_builds(request: Request, project_id: str, error_id: UUID) -> Response:
    """Where it was seen, newest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = log_error_queries.error(this.session, project, error_id)
        part = log_error_queries.builds_of(this.session, found, page)
        shown, headers = paging.shaped(request, page, part, log_error_shapes.build_seen)
        return this.answer(shown, headers=headers)


@api.post("/projects/{project_id}/log_errors/{error_id:uuid}/", openapi_extra=documented(Note))
def say(
    request: Request, project_id: str, error_id: UUID, asked: Annotated[Note, parameters(Note)]
) -> Response:
    """A note and the address of a ticket: told wherever it is seen from now on."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        found = log_error_queries.error(this.session, project, error_id)
        log_error_notes.say(this.session, found, asked.note, asked.tracker_url, by=this.caller.asker)
        return this.answer(log_error_shapes.error(found))
