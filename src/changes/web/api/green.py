"""What the branches and commits of a project have come to."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base.errors import NotFound
from changes.builds import green, revision_results
from changes.people.rules import Scope
from changes.projects import queries
from changes.web import call, change_shapes, paging
from changes.web.params import Parameters, documented_query, parameters

api = APIRouter(prefix="/projects/{project_id}", tags=["projects"])


class GreenAsked(Parameters):
    branch: str = ""


@api.get("/latest_green_builds/", openapi_extra=documented_query(GreenAsked, paged=True))
def list_green(
    request: Request, project_id: str, asked: Annotated[GreenAsked, parameters(GreenAsked)]
) -> Response:
    """By branch, the newest commit in its history of which all is green."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = green.latest(this.session, project, page, branch=asked.branch)
        shaped, headers = paging.shaped(request, page, part, change_shapes.green)
        return this.answer(shaped, headers=headers)


@api.get("/revision_results/{sha}/")
def show_result(request: Request, project_id: str, sha: str) -> Response:
    """What a commit is worth: its newest build, with what its parent lends it."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = revision_results.of_commits(this.session, project, [sha]).get(sha)
        if found is None:
            raise NotFound("No build of this commit has ended in this project.")
        return this.answer(change_shapes.revision_result(found))
