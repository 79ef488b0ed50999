"""/patches/, /commands/: what builds are made of."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import queries
from changes.people.rules import Scope
from changes.projects import patches
from changes.projects import queries as projects
from changes.web import call, shapes, streams
from changes.web.params import Parameters, documented_query, parameters

api = APIRouter(tags=["infrastructure"])


class Raw(Parameters):
    raw: str | None = None


@api.get("/commands/{command_id:uuid}/")
def show_command(request: Request, command_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shapes.command(queries.command(this.session, command_id)))


@api.get("/patches/{patch_id:uuid}/", openapi_extra=documented_query(Raw))
def show_patch(request: Request, patch_id: UUID, asked: Annotated[Raw, parameters(Raw)]) -> Response:
    with call.begin(request, Scope.READ) as this:
        patch = projects.patch(this.session, patch_id)
        diff = patches.content(this.session, patch)
        if asked.raw is not None:
            return Response(
                diff,
                media_type="text/plain; charset=utf-8",
                headers=streams.FOREIGN,
            )
        return this.answer({**shapes.patch(patch), "diff": diff.decode("utf-8", "replace")})
