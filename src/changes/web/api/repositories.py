"""/repositories/<id>/sync/ and more: how the copies of repositories are kept fresh, and what they hold."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from changes.base import db
from changes.base.errors import Conflict, Unavailable
from changes.people.rules import Scope
from changes.projects import files, heads, hooks, queries, tasks
from changes.projects.rules import RepositoryBackend, RepositoryStatus
from changes.web import call, change_shapes, paging, shapes, streams
from changes.web.params import Parameters, body_of, documented_query, parameters

api = APIRouter(prefix="/repositories", tags=["repositories"])
# Its address is the key, so it stands outside of what callers with a token use.
pages = APIRouter()
HOOK_BODY_MAX_BYTES = 1024 * 1024


class BranchesAsked(Parameters):
    branch: str = ""


@api.post("/{repository_id:uuid}/sync/")
def sync(request: Request, repository_id: UUID) -> Response:
    """It is looked at at once, in the background."""
    with call.begin(request, Scope.WRITE) as this:
        repository = queries.repository(this.session, repository_id)
        if repository.status == RepositoryStatus.INACTIVE:
            raise Conflict("This repository is switched off.")
        if repository.backend == RepositoryBackend.UNKNOWN:
            raise Conflict("This repository has no version control system.")
        tasks.ask_for_sync(this.session, repository)
        return this.answer(change_shapes.repository(repository))


@api.get("/{repository_id:uuid}/branches/", openapi_extra=documented_query(BranchesAsked))
def list_branches(
    request: Request, repository_id: UUID, asked: Annotated[BranchesAsked, parameters(BranchesAsked)]
) -> Response:
    """The default one first, then those that moved last; at most 1,000."""
    with call.begin(request, Scope.READ) as this:
        repository = queries.repository(this.session, repository_id)
        found = heads.listed(this.session, repository, query=asked.branch)
        return this.answer([change_shapes.branch(each) for each in found])


@api.get("/{repository_id:uuid}/files/{revision}/{path:path}")
def show_file(request: Request, repository_id: UUID, revision: str, path: str) -> Response:
    """Its bytes, at most 16 MB of them."""
    with call.begin(request, Scope.READ) as this:
        repository = queries.repository(this.session, repository_id)
        place = files.place(this.session, repository, revision, path)
    found = files.read(place)
    if found.content is None:
        raise Unavailable("This file is too large to be sent; a clone of the repository has it.")
    kind = "application/octet-stream" if found.is_binary else "text/plain; charset=utf-8"
    return Response(found.content, media_type=kind, headers=streams.FOREIGN)


@api.get("/{repository_id:uuid}/projects/", openapi_extra=documented_query(paged=True))
def list_projects(request: Request, repository_id: UUID) -> Response:
    """Those that build it, by name."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        repository = queries.repository(this.session, repository_id)
        part = queries.projects(this.session, page, repository=repository)
        shaped, headers = paging.shaped(request, page, part, shapes.project)
        return this.answer(shaped, headers=headers)


@api.get("/{repository_id:uuid}/hook/")
def show_hook(request: Request, repository_id: UUID) -> Response:
    """What to enter at GitHub, Gitea or wherever the repository lies."""
    with call.begin(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        return this.answer({"url": hooks.address_of(repository), "secret": hooks.secret_of(repository)})


@api.delete("/{repository_id:uuid}/hook/")
def change_hook(request: Request, repository_id: UUID) -> Response:
    """Another address and another secret take the place of those somebody may have seen."""
    with call.begin(request, Scope.ADMIN) as this:
        hooks.change_key(queries.repository(this.session, repository_id))
        return this.answer_nothing()


@pages.post("/hooks/repositories/{repository_id:uuid}/{key}/")
async def ring(request: Request, repository_id: UUID, key: str) -> Response:
    """Whatever it says: it is only looked whether there is anything new."""
    body = await body_of(request, HOOK_BODY_MAX_BYTES)
    return await run_in_threadpool(rung, repository_id, key, body, dict(request.headers))


def rung(repository_id: UUID, key: str, body: bytes, headers: dict[str, str]) -> Response:
    with db.transaction() as session:
        hooks.ring(session, repository_id, key, body, headers)
    return Response(status_code=204)
