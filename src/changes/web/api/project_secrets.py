"""/projects/<id>/secrets/: given and taken away; their values are never told."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.people.rules import Scope
from changes.projects import queries, secrets
from changes.projects.models import ProjectSecret
from changes.web import call, shapes
from changes.web.params import Parameters, documented, parameters

api = APIRouter(prefix="/projects", tags=["projects"])


class NewSecret(Parameters):
    """In place of what was there under this name."""

    name: Annotated[str, Field(min_length=1, description="of the variable that commands get")]
    value: Annotated[str, Field(description="at least six bytes, so that it can be hidden in logs")] = ""


def shape(each: ProjectSecret) -> shapes.Json:
    return {
        "name": each.name,
        "dateCreated": shapes.when(each.date_created),
        "dateModified": shapes.when(each.date_modified),
    }


@api.get("/{project_id}/secrets/")
def list_secrets(request: Request, project_id: str) -> Response:
    """Their names, for those who may change them."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        return this.answer([shape(each) for each in secrets.of(this.session, project)])


@api.post("/{project_id}/secrets/", openapi_extra=documented(NewSecret))
def keep_secret(
    request: Request, project_id: str, asked: Annotated[NewSecret, parameters(NewSecret)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        kept = secrets.keep(this.session, project, asked.name, asked.value)
        return this.answer(shape(kept), 201)


@api.delete("/{project_id}/secrets/{name}/")
def drop_secret(request: Request, project_id: str, name: str) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        secrets.drop(this.session, project, name)
        return this.answer_nothing()
