"""/repositories/<id>/credentials/: given and taken away, never told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import NotFound
from changes.people.rules import Scope
from changes.projects import change, credentials, queries
from changes.projects.credentials import Given
from changes.projects.models import RepositoryCredential
from changes.web import call, shapes
from changes.web.params import Flag, Parameters, documented, parameters

api = APIRouter(prefix="/repositories", tags=["repositories"])


class NewCredentials(Parameters):
    """Either password (or token), or ssh_key, or make_key."""

    username: str = ""
    password: str = ""
    ssh_key: str = ""
    make_key: Flag = False
    known_hosts: str = ""
    shared: Flag = False


def given(asked: NewCredentials) -> Given:
    return Given(
        username=asked.username,
        password=asked.password,
        ssh_key=asked.ssh_key,
        makes_key=asked.make_key,
        known_hosts=asked.known_hosts,
        is_shared=asked.shared,
    )


def shape(each: RepositoryCredential) -> shapes.Json:
    """Without what is secret of it."""
    return {
        "kind": "ssh-key" if each.public_key else "password",
        "server": each.server,
        "username": each.username,
        "publicKey": each.public_key or None,
        "knownHosts": each.known_hosts or None,
        "shared": each.is_shared,
        "dateModified": shapes.when(each.date_modified),
    }


@api.get("/{repository_id:uuid}/credentials/")
def show_credentials(request: Request, repository_id: UUID) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        found = credentials.of(this.session, queries.repository(this.session, repository_id))
        if found is None:
            raise NotFound("Nothing is stored for this repository: it is read as anybody may.")
        return this.answer(shape(found))


@api.post("/{repository_id:uuid}/credentials/", openapi_extra=documented(NewCredentials))
def give_credentials(
    request: Request,
    repository_id: UUID,
    asked: Annotated[NewCredentials, parameters(NewCredentials)],
) -> Response:
    """In place of what was there; the repository is read with them at once."""
    with call.begin(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        return this.answer(shape(change.give_credentials(this.session, repository, given(asked))))


@api.delete("/{repository_id:uuid}/credentials/")
def drop_credentials(request: Request, repository_id: UUID) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        change.drop_credentials(this.session, queries.repository(this.session, repository_id))
        return this.answer_nothing()
