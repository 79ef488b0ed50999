"""/original-keys/: addresses that let schedulers and agents of the original in, for administrators."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds.original import keys
from changes.builds.original.models import KeyUse, OriginalKey
from changes.people.rules import Scope
from changes.web import call, shapes
from changes.web.params import Parameters, documented, parameters

api = APIRouter(prefix="/original-keys", tags=["agents"])


class KeyAsked(Parameters):
    """`allocate` is for a scheduler, which gives each agent an address of its own; `agent` for agents that
    are started with one address for all steps.
    """

    name: str
    use: Literal["allocate", "agent"] = "allocate"


def shaped(key: OriginalKey) -> dict[str, Any]:
    return {
        "id": key.id.hex,
        "name": key.name,
        "use": key.use.name.lower(),
        "dateCreated": shapes.when(key.date_created),
        "dateLastUsed": shapes.when(key.date_last_used),
        "dateRevoked": shapes.when(key.date_revoked),
    }


@api.get("/")
def list_keys(request: Request) -> Response:
    """Newest first, without the addresses: those are kept nowhere."""
    with call.begin(request, Scope.ADMIN) as this:
        return this.answer([shaped(key) for key in keys.found(this.session)])


@api.post("/", openapi_extra=documented(KeyAsked))
def create_key(request: Request, asked: Annotated[KeyAsked, parameters(KeyAsked)]) -> Response:
    """The address is told this once."""
    with call.begin(request, Scope.ADMIN) as this:
        made = keys.make(this.session, asked.name, KeyUse[asked.use.upper()])
        told = shaped(keys.find(this.session, made.id))
        return this.answer_secret({**told, "url": keys.address_of(made.secret)}, "url")


@api.delete("/{key_id:uuid}/")
def revoke_key(request: Request, key_id: UUID) -> Response:
    """The addresses of all steps that its scheduler took are closed with it."""
    with call.begin(request, Scope.ADMIN) as this:
        return this.answer(shaped(keys.revoke(this.session, key_id)))
