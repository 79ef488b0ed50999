"""Addresses that let schedulers and agents of the original in: made, looked at, revoked."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid
from changes.builds.original import keys
from changes.builds.original.models import KeyUse
from changes.people.rules import Scope
from changes.web import call
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.account import CREATED, Button
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/nodes/original/"
USES = [
    ("allocate", "A scheduler", "takes steps and starts an agent for each, with an address of its own"),
    ("agent", "Agents", "that are started with this one address; they run what a scheduler took"),
]


class KeyAsked(Parameters):
    name: str = ""
    use: str = "allocate"


@pages.get(HERE)
def list_keys(request: Request) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        return drawing.page(request, "original_keys.html", {**all_keys(this, KeyAsked()), **forms.RIGHT})


def all_keys(this: Call, typed: KeyAsked) -> dict[str, Any]:
    found = keys.found(this.session)
    return {"keys": found, "typed": typed, "uses": USES, "made": "", "fields": ["name", "use"]}


@pages.post(HERE)
def create_key(request: Request, asked: Annotated[KeyAsked, parameters(KeyAsked)]) -> Response:
    """The address is drawn at once and not by the next page: it is kept nowhere."""
    try:
        with call.acting(request, Scope.ADMIN) as this:
            made = keys.address_of(keys.make(this.session, asked.name, use_of(asked.use)).secret)
            values = {**all_keys(this, KeyAsked()), **forms.RIGHT, "made": made}
            return drawing.page(request, "original_keys.html", values, CREATED)
    except Invalid as error:
        with call.acting(request, Scope.ADMIN) as this:
            return forms.again(request, "original_keys.html", all_keys(this, asked), error)


def use_of(name: str) -> KeyUse:
    if name not in {each[0] for each in USES}:
        raise Invalid("Say who will use it.", ["use"])
    return KeyUse[name.upper()]


@pages.get(f"{HERE}{{key_id:uuid}}/revoke/")
def ask_before_revoking(request: Request, key_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        key = keys.find(this.session, key_id)
        return drawing.page(request, "original_key_revoke.html", {"key": key, "back": HERE})


@pages.post(f"{HERE}{{key_id:uuid}}/revoke/")
def revoke_key(request: Request, key_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        key = keys.revoke(this.session, key_id)
        return drawing.go(HERE, f"The address of {key.name} opens nothing any more.")
