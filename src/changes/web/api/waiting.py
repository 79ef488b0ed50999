"""/queue/ and why something waits: what is in line, what holds it up, and who may change that."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.process import settings
from changes.builds import groups, load, priority, queries, queue_look, queue_queries, waiting
from changes.builds.queue_look import LaneLine, Look
from changes.builds.rules import Priority
from changes.people.rules import Scope
from changes.web import call, paging, queue_shapes, shapes
from changes.web.params import Parameters, documented, documented_query, parameters

api = APIRouter(tags=["queue"])
STEPS_EXPLAINED = 25
LANES_SHOWN = 200


class NewPriority(Parameters):
    priority: Literal["high", "default", "low"]


class QueueAsked(Parameters):
    project: Annotated[str, Field(description="a part of its short name")] = ""
    cluster: str = ""
    reason: Annotated[str, Field(description="a `block`, as of what waits")] = ""


class GroupLimit(Parameters):
    name: Annotated[str, Field(min_length=1, max_length=groups.NAME_MAX)]
    limit: Annotated[int, Field(ge=0, le=groups.LIMIT_MAX, description="0 pauses the group")]


@api.get("/jobsteps/{step_id:uuid}/waiting/")
def show_why_step_waits(request: Request, step_id: UUID) -> Response:
    """`null` when it does not wait: it runs, or has ended."""
    with call.begin(request, Scope.READ) as this:
        step = queries.step(this.session, step_id)
        if not waiting.waits(step):
            return this.answer(None)
        silence_s = settings.get().node_silence_max_s
        return this.answer(queue_shapes.explanation(waiting.explain(this.session, step, silence_s=silence_s)))


@api.get("/builds/{build_id:uuid}/waiting/")
def show_why_build_waits(request: Request, build_id: UUID) -> Response:
    """Its oldest steps that wait, those for an agent first, each with why."""
    with call.begin(request, Scope.READ) as this:
        queries.build(this.session, build_id)
        silence_s = settings.get().node_silence_max_s
        steps = waiting.steps_that_wait(this.session, build_id, limit=STEPS_EXPLAINED)
        explained = waiting.explain_all(this.session, steps, silence_s=silence_s)
        return this.answer([queue_shapes.explanation(each) for each in explained])


@api.post("/builds/{build_id:uuid}/priority/", openapi_extra=documented(NewPriority))
def change_priority(
    request: Request, build_id: UUID, asked: Annotated[NewPriority, parameters(NewPriority)]
) -> Response:
    """Of all its steps that still wait; what runs goes on."""
    with call.begin(request, Scope.WRITE) as this:
        build = queries.build(this.session, build_id)
        priority.change(this.session, build, Priority[asked.priority.upper()])
        return this.answer(shapes.build(build))


@api.get("/queue/", openapi_extra=documented_query(QueueAsked))
def show_queue(request: Request, asked: Annotated[QueueAsked, parameters(QueueAsked)]) -> Response:
    """How many steps wait, in which lanes, for how long and why; who holds the machines; limits."""
    with call.begin(request, Scope.READ) as this:
        seen = queue_look.look(this.session, silence_s=settings.get().node_silence_max_s)
        now = load.count(this.session)
        return this.answer(
            {
                "steps": now.steps,
                "liveNodes": now.live_nodes,
                "priorities": [
                    queue_shapes.priority(*each) for each in queue_queries.waiting_by_priority(this.session)
                ],
                "laneCount": seen.lane_count,
                "lanes": [
                    queue_shapes.lane(line, waiting.of_lane(seen, line))
                    for line in wanted_lanes(seen, asked)[:LANES_SHOWN]
                ],
                "pausing": {"steps": seen.pausing, "dateUntil": shapes.when(seen.pausing_until)},
                "projects": [queue_shapes.project_use(each) for each in seen.projects.values()],
                "groups": [queue_shapes.group(each) for each in seen.groups.values()],
            }
        )


def wanted_lanes(seen: Look, asked: QueueAsked) -> list[LaneLine]:
    return [
        line
        for line in seen.lanes
        if asked.project.strip().casefold() in line.project
        and (not asked.cluster or line.needs.cluster == asked.cluster)
        and (not asked.reason or waiting.of_lane(seen, line).block == asked.reason)
    ]


@api.get("/queue/lanes/{lane_id:uuid}/steps/", openapi_extra=documented_query(by_id=True))
def list_steps_of_lane(request: Request, lane_id: UUID) -> Response:
    """Those that wait in it, in the order they are handed out."""
    page = paging.walked(request, size=paging.SIZE_DEFAULT)
    with call.begin(request, Scope.READ) as this:
        queue_queries.lane(this.session, lane_id)
        part = queue_queries.steps_of_lane(this.session, lane_id, page)
        shaped, headers = paging.shaped(request, page, part, shapes.job_step)
        return this.answer(shaped, headers=headers)


@api.get("/queue/groups/")
def list_groups(request: Request) -> Response:
    """Limits that plans of any project share by naming them."""
    with call.begin(request, Scope.READ) as this:
        return this.answer([queue_shapes.held_group(*each) for each in queue_queries.groups(this.session)])


@api.post("/queue/groups/", openapi_extra=documented(GroupLimit))
def set_group_limit(request: Request, asked: Annotated[GroupLimit, parameters(GroupLimit)]) -> Response:
    """Acts at once on everything that waits; what runs is not stopped."""
    with call.begin(request, Scope.ADMIN) as this:
        groups.set_limit(this.session, asked.name, asked.limit)
        return this.answer([queue_shapes.held_group(*each) for each in queue_queries.groups(this.session)])


@api.delete("/queue/groups/{name:path}/")
def remove_group_limit(request: Request, name: str) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        groups.remove(this.session, name)
        return this.answer_nothing()
