"""/projects/<id>/caches/: what builds keep for the next ones."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import caches
from changes.people.rules import Scope
from changes.projects import queries
from changes.web import call, snapshot_shapes
from changes.web.params import Parameters, documented_query

api = APIRouter(prefix="/projects", tags=["caches"])


class Beginning(Parameters):
    key: Annotated[str, Field(max_length=512, description="those whose key begins so; empty means all")] = ""


@api.get("/{project_id}/caches/")
def list_caches(request: Request, project_id: str) -> Response:
    """The last used first."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        return this.answer([snapshot_shapes.cache(each) for each in caches.of(this.session, project)])


@api.delete("/{project_id}/caches/", openapi_extra=documented_query(Beginning))
def drop_caches(request: Request, project_id: str, key: str = "") -> Response:
    """All of them, or those whose key begins so."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        return this.answer({"removed": caches.drop_all(this.session, project, key)})


@api.delete("/{project_id}/caches/{cache_id:uuid}/")
def drop_cache(request: Request, project_id: str, cache_id: UUID) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        caches.drop(this.session, project, cache_id)
        return this.answer_nothing()
