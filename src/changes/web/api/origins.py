"""/origins/: searches for the commit that broke a test."""

import hashlib
import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import jobs
from changes.base.db import Session
from changes.people.rules import Scope
from changes.projects import queries
from changes.projects.models import Project
from changes.results import history, origin_queries, origin_search, tasks
from changes.results.models import Test
from changes.results.origin_queries import Made
from changes.results.origin_search import PARALLEL_MAX, PARALLEL_USUAL, Asked
from changes.web import call, origin_shapes, paging
from changes.web.params import Flag, Parameters, documented, documented_query, parameters

api = APIRouter(tags=["tests"])
DIGEST = re.compile("[0-9a-f]{40}")
Commit = Annotated[str, Field(pattern="^([0-9a-fA-F]{4,64}|)$")]


class NewSearch(Parameters):
    test: Annotated[str, Field(min_length=1, max_length=4096, description="its full name, or the sha1 of it")]
    good: Annotated[Commit, Field(description="a commit at which it passed")] = ""
    bad: Annotated[Commit, Field(description="a commit at which it failed")] = ""
    parallel: Annotated[int, Field(ge=1, le=PARALLEL_MAX, description="builds at once")] = PARALLEL_USUAL
    estimate: Annotated[Flag, Field(description="only tell what it would cost")] = False


@api.post("/projects/{project_id}/origins/", openapi_extra=documented(NewSearch))
def start_search(
    request: Request, project_id: str, asked: Annotated[NewSearch, parameters(NewSearch)]
) -> Response:
    """Searches between the newest commit at which it passed and the one at which it fails now."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        test = test_of(this.session, project, asked.test)
        wanted = Asked(asked.good, asked.bad, asked.parallel, this.caller.asker)
        if asked.estimate:
            return this.answer(origin_shapes.plan(origin_search.plan_of(this.session, project, test, wanted)))
        search = origin_search.start(this.session, project, test, wanted)
        jobs.enqueue(this.session, tasks.advance_origin, search.id)
        return this.answer(origin_shapes.search(search, Made()), 201)


def test_of(session: Session, project: Project, named: str) -> Test:
    """A name that looks like a digest is rare enough to be given by its own."""
    is_digest = DIGEST.fullmatch(named) is not None
    digest = named if is_digest else hashlib.sha1(named.encode(), usedforsecurity=False).hexdigest()
    return history.test_named(session, project, digest)


@api.get(
    "/projects/{project_id}/origins/", openapi_extra=documented_query(Parameters, paged=True, by_id=True)
)
def list_searches(request: Request, project_id: str) -> Response:
    """Newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = origin_queries.of_project(this.session, project, page)
        made = origin_queries.builds_made(this.session, part.rows)
        told = [origin_shapes.search(each, made[each.id]) for each in part.rows]
        return this.answer(told, headers=paging.link_header(request, page, part))


@api.get("/origins/{search_id:uuid}/")
def show_search(request: Request, search_id: UUID) -> Response:
    """With its commits, the newest first, and what is known of each."""
    with call.begin(request, Scope.READ) as this:
        search = origin_queries.search(this.session, search_id)
        made = origin_queries.builds_made(this.session, [search])[search.id]
        places = origin_queries.places(this.session, search)
        told = origin_shapes.search(search, made)
        return this.answer({**told, "commits": [origin_shapes.place(each) for each in places]})


@api.post("/origins/{search_id:uuid}/cancel/")
def cancel_search(request: Request, search_id: UUID) -> Response:
    """Its builds are cancelled with it."""
    with call.begin(request, Scope.WRITE) as this:
        search = origin_search.cancel_search(this.session, search_id)
        made = origin_queries.builds_made(this.session, [search])[search.id]
        return this.answer(origin_shapes.search(search, made))
