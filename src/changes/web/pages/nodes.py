"""The machines that run builds, how each of them is, and what it does."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.process import settings
from changes.builds import greeting, infra_failures, node_queries, queries, queue_look, queue_queries
from changes.builds.infra_failures import Wanted
from changes.builds.lanes import clusters_of, offer_of
from changes.builds.models import Node
from changes.builds.node_queries import NodeFilter, Standing
from changes.builds.queue_queries import Cluster
from changes.web import call, paging
from changes.web.pages import drawing, node_use, node_words, queue_words
from changes.web.params import Parameters, parameters

pages = APIRouter()
STEPS_PER_PAGE = 25
HELD_SHOWN = 100
LANES_SHOWN = 5
STANDINGS = [("", "Any"), *((each.value, each.value.capitalize()) for each in Standing)]
WORKING = (Standing.ONLINE, Standing.TRIAL)


class NodesAsked(Parameters):
    query: str = ""
    cluster: str = ""
    state: str = ""


@pages.get("/nodes/")
def list_nodes(request: Request, asked: Annotated[NodesAsked, parameters(NodesAsked)]) -> Response:
    page = paging.page_of(request, size=paging.SIZE_MAX)
    silence_s = settings.get().node_silence_max_s
    state = Standing(asked.state) if asked.state in list(Standing) else None
    wanted = NodeFilter(asked.query.strip(), asked.cluster.strip(), state)
    with call.reading(request) as this:
        part = node_queries.nodes(this.session, page, wanted, silence_s)
        before, after = paging.newer_and_older(request, page, part)
        ids = [node.id for node in part.rows]
        held = queries.held_by_nodes(this.session, ids)
        values = {
            "nodes": part.rows,
            "held": held,
            "lost": queue_queries.lost_by_nodes(this.session, ids),
            **fleet(part.rows, held, silence_s),
            "asked": asked,
            "standings": STANDINGS,
            "is_filtered": bool(wanted.text or wanted.cluster or asked.state),
            "before": before,
            "after": after,
        }
        return drawing.page(request, "nodes.html", values)


def fleet(nodes: Sequence[Node], held: dict[UUID, int], silence_s: int) -> dict[str, Any]:
    """What all machines of this page can do together now."""
    words = {node.id: node_words.of_node(node, silence_s) for node in nodes}
    working = [node for node in nodes if words[node.id].standing in WORKING]
    return {
        "words": words,
        "online_count": len(working),
        "slot_count": sum(node.slots for node in working),
        "busy_count": sum(held.get(node.id, 0) for node in working),
    }


@pages.get("/nodes/{node_id:uuid}/")
def show_node(request: Request, node_id: UUID) -> Response:
    page = paging.page_of(request, size=STEPS_PER_PAGE, by_id=True)
    with call.reading(request) as this:
        node = queries.node(this.session, node_id)
        part = queries.steps_of_node(this.session, node, page)
        newer, older = paging.newer_and_older(request, page, part)
        wanted = Wanted(hours=queue_queries.LOST_WITHIN_H, node_id=node.id)
        values = {
            "node": node,
            "has_twin": greeting.has_twin(node),
            **what_waits_for(this.session, node),
            "words": node_words.of_node(node, settings.get().node_silence_max_s),
            "clusters": clusters_of_node(node),
            "losses": infra_failures.groups(this.session, wanted),
            "use": node_use.of_node(this.session, node),
            "held": queries.held_by_node(this.session, node, limit=HELD_SHOWN),
            "steps": part.rows,
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "node.html", values)


def what_waits_for(session: Session, node: Node) -> dict[str, Any]:
    """What it could run, whether it works now or not, and whoever else could."""
    seen = queue_look.look(session, silence_s=settings.get().node_silence_max_s)
    offer = offer_of(node)
    waits = [] if node.is_revoked else [line for line in seen.lanes if offer.suits(line.needs)]
    return {
        "waits": [queue_words.explained(seen, line) for line in waits[:LANES_SHOWN]],
        "waiting_count": sum(line.seen.waiting for line in waits),
        "more_lanes": max(0, len(waits) - LANES_SHOWN),
    }


def clusters_of_node(node: Node) -> list[Cluster]:
    return [Cluster(name, [node]) for name in sorted(clusters_of(node.labels))]
