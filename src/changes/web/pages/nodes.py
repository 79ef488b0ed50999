"""The machines that run builds, and what each of them does."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.process import settings
from changes.builds import queries
from changes.builds.models import Node
from changes.web import call, paging
from changes.web.pages import drawing

pages = APIRouter()
STEPS_PER_PAGE = 25
HELD_SHOWN = 100


@pages.get("/nodes/")
def list_nodes(request: Request) -> Response:
    page = paging.page_of(request, size=paging.SIZE_MAX)
    with call.reading(request) as this:
        part = queries.nodes(this.session, page)
        before, after = paging.newer_and_older(request, page, part)
        held = queries.held_by_nodes(this.session, [node.id for node in part.rows])
        values = {
            "nodes": part.rows,
            "held": held,
            **hearing(),
            **fleet(part.rows, held),
            "before": before,
            "after": after,
        }
        return drawing.page(request, "nodes.html", values)


def hearing() -> dict[str, Any]:
    silence_s = settings.get().node_silence_max_s
    return {"heard_after": clock.now() - timedelta(seconds=silence_s), "silence_s": silence_s}


def fleet(nodes: Any, held: dict[UUID, int]) -> dict[str, Any]:
    """What all machines of this page can do together now."""
    heard_after: datetime = hearing()["heard_after"]
    online = [node for node in nodes if is_online(node, heard_after)]
    return {
        "online_count": len(online),
        "slot_count": sum(node.slots for node in online),
        "busy_count": sum(held.get(node.id, 0) for node in online),
    }


def is_online(node: Node, heard_after: datetime) -> bool:
    is_heard = node.date_last_seen is not None and node.date_last_seen >= heard_after
    return is_heard and node.token_digest is not None


@pages.get("/nodes/{node_id:uuid}/")
def show_node(request: Request, node_id: UUID) -> Response:
    page = paging.page_of(request, size=STEPS_PER_PAGE, by_id=True)
    with call.reading(request) as this:
        node = queries.node(this.session, node_id)
        part = queries.steps_of_node(this.session, node, page)
        newer, older = paging.newer_and_older(request, page, part)
        told = hearing()
        values = {
            "node": node,
            "is_online": is_online(node, told["heard_after"]),
            **told,
            "held": queries.held_by_node(this.session, node, limit=HELD_SHOWN),
            "steps": part.rows,
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "node.html", values)
