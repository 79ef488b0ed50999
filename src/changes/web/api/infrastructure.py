"""/nodes/, /patches/, /tasks/, /commands/: what builds run on and what runs beside them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import jobs
from changes.builds import nodes, queries
from changes.people.rules import Scope
from changes.projects import queries as projects
from changes.web import call, paging, shapes, streams
from changes.web.params import Parameters, documented_query, parameters

api = APIRouter(tags=["infrastructure"])


class Raw(Parameters):
    raw: str | None = None


@api.get("/nodes/", openapi_extra=documented_query(paged=True))
def list_nodes(request: Request) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        shaped, headers = paging.shaped(request, page, queries.nodes(this.session, page), shapes.node)
        return this.answer(shaped, headers=headers)


@api.get("/nodes/{node_id:uuid}/")
def show_node(request: Request, node_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shapes.node(queries.node(this.session, node_id)))


@api.post("/nodes/{node_id:uuid}/revoke/")
def revoke_node(request: Request, node_id: UUID) -> Response:
    """Takes the agent's key away; it may enrol again with a new one-time token."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        nodes.revoke(this.session, node_id)
        return this.answer(shapes.node(node))


@api.get("/commands/{command_id:uuid}/")
def show_command(request: Request, command_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shapes.command(queries.command(this.session, command_id)))


@api.get("/patches/{patch_id:uuid}/", openapi_extra=documented_query(Raw))
def show_patch(request: Request, patch_id: UUID, asked: Annotated[Raw, parameters(Raw)]) -> Response:
    with call.begin(request, Scope.READ) as this:
        patch = projects.patch(this.session, patch_id)
        if asked.raw is not None:
            return Response(
                patch.diff,
                media_type="text/plain; charset=utf-8",
                headers=streams.FOREIGN,
            )
        return this.answer({**shapes.patch(patch), "diff": patch.diff.decode("utf-8", "replace")})


@api.get("/tasks/", openapi_extra=documented_query(paged=True, by_id=True))
def list_tasks(request: Request) -> Response:
    """Background work, newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        shaped, headers = paging.shaped(request, page, jobs.newest(this.session, page), shapes.task)
        return this.answer(shaped, headers=headers)
