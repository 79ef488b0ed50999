"""What administrators do with a machine: drain it, put it out of use, let it work again, take its key."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import db
from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import agent_keys, machines, queries
from changes.builds.models import Node
from changes.builds.rules import ReplaceLimits
from changes.people.rules import Scope
from changes.web import call
from changes.web.pages import drawing
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
# What is asked before each of them, and whether it does harm.
QUESTIONS = {
    "drain": ("Drain", "It ends what it has and gets nothing new, until somebody lets it work again."),
    "disable": ("Disable", "It gets nothing new, and what it works on is stopped and done elsewhere."),
    "revoke": (
        "Revoke the key of",
        "Its agent is let in no more, and its work is done elsewhere. It may enrol again with a new token.",
    ),
    "replace-key": (
        "Replace the key of",
        "Its agent gets another key within ten minutes, or at its next start, and goes on working meanwhile.",
    ),
}
# Those that nobody wonders about later.
WITHOUT_REASON = ("revoke", "replace-key")
SAID = {
    "drain": "It ends what it has.",
    "disable": "It gets nothing any more.",
    "revoke": "Its key is revoked.",
    "replace-key": "Its agent gets another key.",
}


class Why(Parameters):
    reason: str = ""


@pages.get("/nodes/{node_id:uuid}/{how}/")
def ask_before(request: Request, node_id: UUID, how: str) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        return drawing.page(request, "node_ask.html", question(node, how))


def question(node: Node, how: str) -> dict[str, Any]:
    if how not in QUESTIONS:
        raise NotFound("There is no such page of a machine.")
    button, words = QUESTIONS[how]
    return {
        "node": node,
        "how": how,
        "button": button,
        "words": words,
        "reason_max": None if how in WITHOUT_REASON else machines.REASON_MAX,
    }


@pages.post("/nodes/{node_id:uuid}/enable/")
def enable(request: Request, node_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        machines.enable(this.session, queries.node(this.session, node_id))
        return this.go(f"/nodes/{node_id.hex}/", "It works again.")


@pages.post("/nodes/{node_id:uuid}/{how}/")
def act(request: Request, node_id: UUID, how: str, asked: Annotated[Why, parameters(Why)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        question(node, how)
        do(this.session, node, how, asked.reason.strip())
        return this.go(f"/nodes/{node_id.hex}/", SAID[how])


def do(session: db.Session, node: Node, how: str, why: str) -> None:
    current = settings.get()
    limits = ReplaceLimits(current.jobstep_retry_max, current.jobstep_machine_retry_max)
    if how == "drain":
        machines.drain(session, node, why)
    elif how == "disable":
        machines.disable(session, node, why, limits)
    elif how == "replace-key":
        agent_keys.ask_for_another(session, node)
    else:
        machines.revoke(session, node, limits)
