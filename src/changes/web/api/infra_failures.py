"""/infra_failures/ and /systemstats/: how the machinery is, and what it lost."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import infra_failures, load, queue_queries
from changes.builds.infra_failures import Group, Wanted
from changes.builds.models import JobStep
from changes.people.rules import Scope
from changes.web import call, paging, shapes
from changes.web.params import Parameters, documented_query, parameters

api = APIRouter(tags=["infrastructure"])


class InfraAsked(Parameters):
    hours: Annotated[int, Field(ge=1, le=infra_failures.HOURS_MAX)] = 24
    node: Annotated[str, Field(description="name of a machine")] = ""
    cluster: str = ""
    reason: str = ""


@api.get("/infra_failures/", openapi_extra=documented_query(InfraAsked, by_id=True))
def list_infra_failures(request: Request, asked: Annotated[InfraAsked, parameters(InfraAsked)]) -> Response:
    """Steps that the machinery lost: counted by machine and reason, and the newest of them."""
    page = paging.walked(request, size=paging.SIZE_DEFAULT)
    with call.begin(request, Scope.READ) as this:
        node = queue_queries.node_called(this.session, asked.node) if asked.node else None
        wanted = Wanted(asked.hours, node.id if node else None, asked.cluster, asked.reason)
        part = infra_failures.newest(this.session, wanted, page)
        whys = infra_failures.whys(this.session, part.rows)
        found = {
            "groups": [group(each) for each in infra_failures.groups(this.session, wanted)],
            "recent": [lost(step, whys) for step in part.rows],
        }
        return this.answer(found, headers=paging.link_header(request, page, part))


def group(each: Group) -> dict[str, Any]:
    node = {"id": each.node.id.hex, "name": each.node.label} if each.node else None
    newest = shapes.when(each.newest)
    return {"node": node, "reason": each.reason, "count": each.count, "dateNewest": newest}


def lost(step: JobStep, whys: dict[Any, str]) -> dict[str, Any]:
    build = step.job.build
    return {
        **shapes.job_step(step),
        "text": whys.get(step.id, ""),
        "job": {"id": step.job_id.hex},
        "build": {"id": build.id.hex, "number": build.number, "project": build.project.slug},
    }


@api.get("/systemstats/")
def show_statistics(request: Request) -> Response:
    """Builds, jobs and steps of the last 24 hours, by status and by result."""
    with call.begin(request, Scope.READ) as this:
        statuses, results = load.of_last_day(this.session)
        return this.answer({"statusCounts": counts(statuses), "resultCounts": counts(results)})


def counts(rows: Sequence[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "numBuilds": builds, "numJobs": jobs, "numJobSteps": steps}
        for name, builds, jobs, steps in rows
    ]
