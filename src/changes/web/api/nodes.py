"""/nodes/ and /clusters/: the machines that build, how they are, and whether they may work."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from changes.base.process import settings
from changes.builds import agent_keys, machines, node_queries, queries, queue_queries, reasons
from changes.builds.models import Node
from changes.builds.node_queries import NodeFilter, Standing
from changes.builds.queue_rules import NodeState
from changes.builds.rules import ReplaceLimits
from changes.people.rules import Scope
from changes.web import call, paging, queue_shapes, shapes
from changes.web.params import (
    OptionalText,
    Parameters,
    blank_is_none,
    documented,
    documented_query,
    parameters,
)

api = APIRouter(tags=["infrastructure"])
LOSSES_SHOWN = 25


class Why(Parameters):
    reason: Annotated[str, Field(max_length=machines.REASON_MAX, description="for people who wonder")] = ""


class NodesAsked(Parameters):
    query: Annotated[str, Field(description="a part of the name")] = ""
    cluster: str = ""
    state: Annotated[Standing | None, BeforeValidator(blank_is_none)] = None
    since: Annotated[int | None, Field(ge=1, le=10_000, description="heard of within so many days")] = None


class Toggle(Parameters):
    toggle: OptionalText = None


class HowMany(Parameters):
    limit: Annotated[int, Field(ge=0, le=1000)] = 250


def shaped(this: call.Call, found: list[Node]) -> list[dict[str, Any]]:
    """Two queries for any number of machines."""
    ids = [node.id for node in found]
    held = queries.held_by_nodes(this.session, ids)
    lost = queue_queries.lost_by_nodes(this.session, ids)
    silence_s = settings.get().node_silence_max_s
    return [queue_shapes.node(node, held, lost, silence_s) for node in found]


@api.get("/nodes/", openapi_extra=documented_query(NodesAsked, paged=True))
def list_nodes(request: Request, asked: Annotated[NodesAsked, parameters(NodesAsked)]) -> Response:
    page = paging.page_of(request)
    wanted = NodeFilter(asked.query, asked.cluster, asked.state, asked.since or 0)
    with call.begin(request, Scope.READ) as this:
        part = node_queries.nodes(this.session, page, wanted, settings.get().node_silence_max_s)
        headers = paging.link_header(request, page, part)
        return this.answer(shaped(this, list(part.rows)), headers=headers)


@api.get("/nodes/{node_id:uuid}/")
def show_node(request: Request, node_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(details(this, queries.node(this.session, node_id)))


@api.get("/nodes/hostname/{name:path}/")
def show_node_called(request: Request, name: str) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(details(this, queue_queries.node_called(this.session, name)))


def details(this: call.Call, node: Node) -> dict[str, Any]:
    """With its clusters and the newest steps it lost."""
    lost = queue_queries.losses_of_node(this.session, node, limit=LOSSES_SHOWN)
    of_node = [each for each in queue_queries.clusters(this.session) if node in each.nodes]
    return {
        **shaped(this, [node])[0],
        "clusters": [queue_shapes.cluster(each) for each in of_node],
        "losses": [
            {
                "step": {"id": step.id.hex, "name": step.label},
                "build": {"id": step.job.build_id.hex},
                "reason": reason,
                "text": reasons.sentence(reason, data),
                "dateFinished": shapes.when(step.date_finished),
            }
            for step, reason, data in lost
        ],
    }


@api.get("/nodes/{node_id:uuid}/status/")
def show_status_of_node(request: Request, node_id: UUID) -> Response:
    """As the original had it: whether an operator keeps it from working."""
    with call.begin(request, Scope.READ) as this:
        node = queries.node(this.session, node_id)
        return this.answer({"offline": node.state != NodeState.ACTIVE})


@api.post("/nodes/{node_id:uuid}/status/", openapi_extra=documented(Toggle))
def toggle_node(request: Request, node_id: UUID, asked: Annotated[Toggle, parameters(Toggle)]) -> Response:
    """With `toggle` it is drained, or works again."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        if asked.toggle and node.state == NodeState.ACTIVE:
            machines.drain(this.session, node, f"by {this.caller.name}")
        elif asked.toggle:
            machines.enable(this.session, node)
        return this.answer({"offline": node.state != NodeState.ACTIVE})


@api.get("/nodes/{node_id:uuid}/jobs/", openapi_extra=documented_query(paged=True, by_id=True))
def list_jobs_of_node(request: Request, node_id: UUID) -> Response:
    """Newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        part = queue_queries.jobs_of_node(this.session, queries.node(this.session, node_id), page)
        shaped_jobs, headers = paging.shaped(request, page, part, shapes.job)
        return this.answer(shaped_jobs, headers=headers)


@api.post("/nodes/{node_id:uuid}/drain/", openapi_extra=documented(Why))
def drain_node(request: Request, node_id: UUID, asked: Annotated[Why, parameters(Why)]) -> Response:
    """It ends what it has and gets nothing new."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        machines.drain(this.session, node, asked.reason)
        return this.answer(shaped(this, [node])[0])


@api.post("/nodes/{node_id:uuid}/disable/", openapi_extra=documented(Why))
def disable_node(request: Request, node_id: UUID, asked: Annotated[Why, parameters(Why)]) -> Response:
    """It gets nothing new, and what it works on is stopped and done elsewhere."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        machines.disable(this.session, node, asked.reason, replace_limits())
        return this.answer(shaped(this, [node])[0])


@api.post("/nodes/{node_id:uuid}/enable/")
def enable_node(request: Request, node_id: UUID) -> Response:
    """It works again; a quarantine is lifted too."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        machines.enable(this.session, node)
        return this.answer(shaped(this, [node])[0])


@api.post("/nodes/{node_id:uuid}/revoke/")
def revoke_node(request: Request, node_id: UUID) -> Response:
    """Takes the agent's key away, and its steps; it may enrol again with a new one-time token."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        machines.revoke(this.session, node, replace_limits())
        return this.answer(shaped(this, [node])[0])


@api.post("/nodes/{node_id:uuid}/replace_key/")
def replace_key_of_node(request: Request, node_id: UUID) -> Response:
    """Its agent asks for another key within ten minutes, or at its next start; the old one ends then."""
    with call.begin(request, Scope.ADMIN) as this:
        node = queries.node(this.session, node_id)
        agent_keys.ask_for_another(this.session, node)
        return this.answer(shaped(this, [node])[0])


def replace_limits() -> ReplaceLimits:
    current = settings.get()
    return ReplaceLimits(current.jobstep_retry_max, current.jobstep_machine_retry_max)


@api.get("/clusters/")
def list_clusters(request: Request) -> Response:
    """All of them, by name: what agents say in their label `cluster`."""
    with call.begin(request, Scope.READ) as this:
        return this.answer([queue_shapes.cluster(each) for each in queue_queries.clusters(this.session)])


@api.get("/clusters/{cluster_id}/")
def show_cluster(request: Request, cluster_id: str) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(queue_shapes.cluster(queue_queries.cluster(this.session, cluster_id)))


@api.get("/clusters/{cluster_id}/nodes/")
def list_nodes_of_cluster(request: Request, cluster_id: str) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shaped(this, list(queue_queries.cluster(this.session, cluster_id).nodes)))


@api.get("/admin_dash/infra_fail_jobs/", openapi_extra=documented_query(HowMany))
def list_lost_jobs(request: Request, asked: Annotated[HowMany, parameters(HowMany)]) -> Response:
    """Jobs of the last day that the machinery failed, newest first."""
    with call.begin(request, Scope.READ) as this:
        found = queue_queries.jobs_lost(this.session, limit=asked.limit)
        return this.answer({"recent": [shapes.job(job) for job in found]})
