"""How a repository is entered: given on a page of its own, where what is secret never comes back."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid
from changes.people.rules import Scope
from changes.projects import change, credentials, queries
from changes.projects.credentials import Given
from changes.projects.models import Repository
from changes.web import call
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Flag, Parameters, parameters

pages = APIRouter()
TEMPLATE = "repository_credentials.html"
FIELDS = ("kind", "username", "password", "ssh_key", "known_hosts", "is_shared")


class Entered(Parameters):
    kind: str = "password"
    username: str = ""
    password: str = ""
    ssh_key: str = ""
    known_hosts: str = ""
    is_shared: Flag = False


@pages.get("/repositories/{repository_id:uuid}/credentials/")
def ask_for_credentials(request: Request, repository_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        asked = beginning(this, repository)
        return drawing.page(request, TEMPLATE, {**values_of(this, repository, asked), **forms.RIGHT})


def beginning(this: Call, repository: Repository) -> Entered:
    found = credentials.of(this.session, repository)
    is_ssh = credentials.server_of(repository.url).startswith("ssh://")
    return Entered(
        kind="make_key" if is_ssh else "password",
        username=found.username if found else "",
        known_hosts=found.known_hosts if found else "",
        is_shared=found.is_shared if found else False,
    )


def values_of(this: Call, repository: Repository, asked: Entered) -> dict[str, Any]:
    return {
        "repository": repository,
        "credential": credentials.of(this.session, repository),
        "is_ssh": credentials.server_of(repository.url).startswith("ssh://"),
        "asked": asked,
        "fields": FIELDS,
    }


@pages.post("/repositories/{repository_id:uuid}/credentials/")
def give_credentials(
    request: Request, repository_id: UUID, asked: Annotated[Entered, parameters(Entered)]
) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            repository = queries.repository(this.session, repository_id)
            change.give_credentials(this.session, repository, given(asked))
            return this.go(f"/repositories/{repository_id.hex}/", "Stored. The repository is being read.")
    except Invalid as error:
        with call.open_to_all(request) as this:
            repository = queries.repository(this.session, repository_id)
            # What was typed as a secret is typed again: no page ever holds it.
            shown = asked.model_copy(update={"password": "", "ssh_key": ""})
            return forms.again(request, TEMPLATE, values_of(this, repository, shown), error)


def given(asked: Entered) -> Given:
    """What belongs to another kind was left in a field that is not shown."""
    return Given(
        username=asked.username if asked.kind == "password" else "",
        password=asked.password if asked.kind == "password" else "",
        ssh_key=asked.ssh_key if asked.kind == "ssh_key" else "",
        makes_key=asked.kind == "make_key",
        known_hosts=asked.known_hosts,
        is_shared=asked.is_shared,
    )


@pages.post("/repositories/{repository_id:uuid}/credentials/remove/")
def drop_credentials(
    request: Request, repository_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        change.drop_credentials(this.session, queries.repository(this.session, repository_id))
        return this.go(f"/repositories/{repository_id.hex}/", "Removed.")
