"""What waits for an agent, in which order, why, and who holds the machines meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.base.paging import Page
from changes.base.process import settings
from changes.builds import groups, queue_look, queue_queries, waiting
from changes.builds.lanes import Needs
from changes.builds.queue_look import LaneLine, Look
from changes.people.rules import Scope
from changes.web import call, paging
from changes.web.pages import clusters, drawing, forms
from changes.web.pages.queue_words import REASONS, LaneShown, explained, words_of_needs
from changes.web.params import Parameters, parameters

pages = APIRouter()
LANES_PER_PAGE = 50
STEPS_PER_PAGE = 50
USES_SHOWN = 25


class QueueAsked(Parameters):
    project: str = ""
    cluster: str = ""
    reason: str = ""


class GroupLimit(Parameters):
    name: str = ""
    limit: str = ""


class GroupName(Parameters):
    name: str = ""


@pages.get("/queue/")
def show_queue(request: Request, asked: Annotated[QueueAsked, parameters(QueueAsked)]) -> Response:
    page = paging.page_of(request, size=LANES_PER_PAGE)
    with call.reading(request) as this:
        values = {**values_of(this.session, asked, page), "asked_limit": GroupLimit()}
        return drawing.page(request, "queue.html", {**values, **forms.RIGHT})


def values_of(session: Session, asked: QueueAsked, page: Page) -> dict[str, Any]:
    seen = queue_look.look(session, silence_s=settings.get().node_silence_max_s)
    fitting = wanted_lanes(seen, asked)
    shown = fitting[page.offset : page.offset + page.size]
    return {
        **around(seen, asked),
        "lanes": [each if isinstance(each, LaneShown) else explained(seen, each) for each in shown],
        "fitting": len(fitting),
        "page": page.number,
        "has_more": len(fitting) > page.offset + page.size,
    }


def wanted_lanes(seen: Look, asked: QueueAsked) -> Sequence[LaneLine | LaneShown]:
    """Why something waits costs some thinking: only of those that are shown, unless it is asked for."""
    text = asked.project.strip().casefold()
    found = [
        line
        for line in seen.lanes
        if (not text or text in line.project.casefold() or text in line.project_name.casefold())
        and (not asked.cluster or line.needs.cluster == asked.cluster)
    ]
    if not asked.reason:
        return found
    return [shown for shown in (explained(seen, line) for line in found) if shown.why.block == asked.reason]


def around(seen: Look, asked: QueueAsked) -> dict[str, Any]:
    uses = list(seen.projects.values())
    summed = clusters.summary(seen)
    return {
        "seen": seen,
        "asked": asked,
        "is_filtered": bool(asked.project or asked.cluster or asked.reason),
        "reasons": REASONS,
        "cluster_choices": [("", "Any"), *((each.name, each.name) for each in summed if each.name)],
        "clusters": summed,
        "fleet": clusters.fleet(seen),
        "oldest": oldest(seen),
        "uses": uses[:USES_SHOWN],
        "use_count": len(uses),
        "waiting_of": waiting_of(seen),
        "waiting_of_groups": waiting_of_groups(seen),
        "groups": list(seen.groups.values()),
    }


def oldest(seen: Look) -> datetime | None:
    return min((line.since for line in seen.lanes), default=None)


def waiting_of(seen: Look) -> dict[UUID, int]:
    found: dict[UUID, int] = {}
    for line in seen.lanes:
        found[line.seen.project_id] = found.get(line.seen.project_id, 0) + line.seen.waiting
    return found


def waiting_of_groups(seen: Look) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in seen.lanes:
        if line.group:
            found[line.group] = found.get(line.group, 0) + line.seen.waiting
    return found


@pages.get("/queue/lanes/{lane_id:uuid}/")
def show_lane(request: Request, lane_id: UUID) -> Response:
    page = paging.walked(request, size=STEPS_PER_PAGE)
    with call.reading(request) as this:
        found = queue_queries.lane(this.session, lane_id)
        part = queue_queries.steps_of_lane(this.session, lane_id, page)
        before, after = paging.newer_and_older(request, page, part)
        silence_s = settings.get().node_silence_max_s
        told = waiting.explain_all(this.session, part.rows[:1], silence_s=silence_s)
        needs = Needs(found.lane.cluster, found.lane.labels, found.lane.cpus, found.lane.memory_mb)
        values = {
            "found": found,
            "lane": found.lane,
            "needs": words_of_needs(needs, found.lane.concurrency_group),
            "steps": part.rows,
            "told": told[0] if told else None,
            "before": before,
            "after": after,
        }
        return drawing.page(request, "queue_lane.html", values)


# --- limits with a name -------------------------------------------------------------------


@pages.post("/queue/groups/")
def set_group_limit(request: Request, asked: Annotated[GroupLimit, parameters(GroupLimit)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            group = groups.set_limit(this.session, asked.name, whole_number(asked.limit.strip()))
            return this.go("/queue/#groups", f"{group.name}: {group.limit} at a time.")
    except Invalid as error:
        with call.open_to_all(request) as this:
            values = values_of(this.session, QueueAsked(), Page(1, LANES_PER_PAGE))
            typed = {"asked_limit": asked, "fields": ("name", "limit")}
            return forms.again(request, "queue.html", {**values, **typed}, error)


def whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(groups.LIMIT_MAX))):
        raise Invalid(f"A whole number from 0 to {groups.LIMIT_MAX}; 0 pauses the group.", ["limit"])
    return int(text)


@pages.post("/queue/groups/remove/")
def remove_group_limit(request: Request, asked: Annotated[GroupName, parameters(GroupName)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        groups.remove(this.session, asked.name)
        return this.go("/queue/#groups", f"{asked.name} has no limit any more.")
