"""Reads of the queue and of the machines that serve it. Bounded, whatever waits."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, literal_column, select
from sqlalchemy.orm import Session, joinedload

from changes.base import clock
from changes.base.errors import NotFound
from changes.base.paging import Page, Part, Position, newest_first
from changes.builds import reasons
from changes.builds.lanes import clusters_of
from changes.builds.models import Build, FailureReason, Job, JobStep, Node
from changes.builds.queue_models import ConcurrencyGroup, Lane
from changes.builds.rules import HELD, Priority, Result, Status
from changes.people.models import Author
from changes.projects.models import Project

NODES_MAX = 10_000
LOST_WITHIN_H = 24
FIRST_ID = UUID(int=0)


@dataclass(frozen=True)
class OpenLane:
    lane: Lane
    project: str
    project_name: str
    author: str | None
    waiting: int
    oldest: datetime


@dataclass(frozen=True)
class Cluster:
    """Machines that say they belong together; it has no more to it than its name."""

    name: str
    nodes: Sequence[Node]

    @property
    def id(self) -> UUID:
        return UUID(hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest())

    @property
    def date_created(self) -> datetime:
        return min(node.date_created for node in self.nodes)


def lane(session: Session, lane_id: UUID) -> OpenLane:
    """Also one in which nothing waits any more."""
    counted = select(func.count(), func.min(JobStep.date_pending)).where(*waits_in(lane_id))
    waiting, oldest = session.execute(counted).one()
    found = (
        select(Lane, Project.slug, Project.name, Author.name)
        .join(Project, Project.id == Lane.project_id)
        .outerjoin(Author, Author.id == Lane.author_id)
        .where(Lane.id == lane_id)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        raise NotFound("There is no such line in the queue.")
    return OpenLane(*row, waiting, oldest if waiting else clock.now())


def waits_in(lane_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (JobStep.lane_id == lane_id, JobStep.status == literal_column(str(int(Status.PENDING_ALLOCATION))))


def steps_of_lane(session: Session, lane_id: UUID, page: Page) -> Part[JobStep]:
    """In the order they are handed out, with their builds; always by position."""
    with_build = joinedload(JobStep.job).joinedload(Job.build)
    lean = (with_build.lazyload(Build.source), with_build.lazyload(Build.author))
    mine = select(JobStep).where(*waits_in(lane_id)).options(*lean)
    position = page.position or Position()
    if position.before is not None:
        found = mine.where(JobStep.id < position.before).order_by(JobStep.id.desc())
    else:
        found = mine.where(JobStep.id > (position.after or FIRST_ID)).order_by(JobStep.id)
    rows = list(session.execute(found.limit(page.size + 1)).scalars())
    has_more, rows = len(rows) > page.size, rows[: page.size]
    if position.before is not None:
        return Part(rows[::-1], has_next=True, has_previous=has_more)
    return Part(rows, has_next=has_more, has_previous=position.after is not None)


def waiting_by_priority(session: Session) -> Sequence[Row[Priority, int, datetime]]:
    """priority, how many steps wait, since when the oldest does."""
    counted = select(JobStep.priority, func.count(), func.min(JobStep.date_pending))
    waiting = counted.where(JobStep.status == Status.PENDING_ALLOCATION).group_by(JobStep.priority)
    return session.execute(waiting.order_by(JobStep.priority.desc())).all()


def groups(session: Session) -> list[tuple[ConcurrencyGroup, int]]:
    """Each with how many steps hold it now."""
    held = (
        select(Lane.concurrency_group, func.count().label("steps"))
        .join(JobStep, JobStep.lane_id == Lane.id)
        .where(JobStep.status.in_(HELD), Lane.concurrency_group.is_not(None))
        .group_by(Lane.concurrency_group)
        .subquery()
    )
    found = select(ConcurrencyGroup, func.coalesce(held.c.steps, 0))
    joined = found.outerjoin(held, held.c.concurrency_group == ConcurrencyGroup.name)
    return [(row[0], row[1]) for row in session.execute(joined.order_by(ConcurrencyGroup.name))]


# --- machines ----------------------------------------------------------------------------


def node_called(session: Session, name: str) -> Node:
    found = session.execute(select(Node).where(Node.label == name)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no node {name!r}.")
    return found


def lost_by_nodes(session: Session, node_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many steps each of these machines lost within a day, without those it has nothing to do with."""
    since = clock.now() - timedelta(hours=LOST_WITHIN_H)
    why = select(FailureReason.id).where(FailureReason.step_id == JobStep.id)
    lost = select(JobStep.node_id, func.count()).where(
        ~why.where(FailureReason.reason.in_(reasons.INNOCENT)).exists(),
        JobStep.node_id.in_(node_ids),
        JobStep.id > first_id_at(since),
        JobStep.status == Status.FINISHED,
        JobStep.result == Result.INFRA_FAILED,
    )
    return {row[0]: row[1] for row in session.execute(lost.group_by(JobStep.node_id)) if row[0] is not None}


def losses_of_node(
    session: Session, node: Node, *, limit: int
) -> Sequence[Row[JobStep, str, dict[str, Any]]]:
    """The newest steps it lost, each with why."""
    lost = (
        select(JobStep, FailureReason.reason, FailureReason.data)
        .join(FailureReason, FailureReason.step_id == JobStep.id)
        .where(JobStep.node_id == node.id, JobStep.status == Status.FINISHED)
        .where(JobStep.result == Result.INFRA_FAILED)
    )
    newest = lost.order_by(JobStep.id.desc(), FailureReason.id).limit(limit)
    return session.execute(newest.options(joinedload(JobStep.job))).all()


def jobs_of_node(session: Session, node: Node, page: Page) -> Part[Job]:
    """Newest first, each once, with its build."""
    mine = select(JobStep.job_id).where(JobStep.node_id == node.id)
    return newest_first(session, with_build().where(Job.id.in_(mine)), Job.id, page)


def jobs_lost(session: Session, *, limit: int) -> Sequence[Job]:
    """Jobs of the last day that the machinery failed."""
    since = first_id_at(clock.now() - timedelta(hours=LOST_WITHIN_H))
    lost = with_build().where(Job.id > since, Job.result == Result.INFRA_FAILED)
    return session.execute(lost.order_by(Job.id.desc()).limit(limit)).scalars().all()


def with_build() -> Any:
    return select(Job).options(joinedload(Job.build).lazyload(Build.source))


def first_id_at(moment: datetime) -> UUID:
    """Ids begin with the time of their birth, in milliseconds."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def clusters(session: Session) -> list[Cluster]:
    """By name. Machines are few, so all of them are looked at."""
    members: dict[str, list[Node]] = {}
    for node in session.execute(select(Node).order_by(Node.label).limit(NODES_MAX)).scalars():
        for name in clusters_of(node.labels):
            members.setdefault(name, []).append(node)
    return [Cluster(name, members[name]) for name in sorted(members)]


def cluster(session: Session, name_or_id: str) -> Cluster:
    for each in clusters(session):
        if name_or_id in (each.name, each.id.hex):
            return each
    raise NotFound(f"No machine is in a cluster {name_or_id!r}.")
