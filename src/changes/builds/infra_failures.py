"""Steps that the machinery lost lately: on which machines, and why. Bounded, whatever went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, select, true
from sqlalchemy.orm import Session, joinedload

from changes.base import clock
from changes.base.paging import Page, Part, newest_first
from changes.builds import reasons
from changes.builds.models import Build, FailureReason, Job, JobStep, Node
from changes.builds.queue_queries import first_id_at
from changes.builds.rules import Result

GROUPS_MAX = 100
HOURS_MAX = 30 * 24
# With its number in the text, because only then does PostgreSQL see that the index serves it.
IS_LOST: ColumnElement[bool] = JobStep.result == bindparam(None, Result.INFRA_FAILED, literal_execute=True)


@dataclass(frozen=True)
class Wanted:
    """`reason` "" is any; one that nobody noted is `unknown`."""

    hours: int = 24
    node_id: UUID | None = None
    cluster: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Group:
    """Steps lost on one machine for one reason."""

    node: Node | None
    reason: str
    count: int
    newest: datetime | None

    @property
    def words(self) -> str:
        return words_of(self.reason)


def words_of(reason: str) -> str:
    return reason.replace("_", " ")


def first_reason() -> Any:
    """Why it was lost; what was noted after that tells what became of it."""
    mine = select(FailureReason.reason, FailureReason.data).where(FailureReason.step_id == JobStep.id)
    return mine.order_by(FailureReason.id).limit(1).correlate(JobStep).lateral("why")


def limited(found: Select[Any], wanted: Wanted, reason: ColumnElement[str]) -> Select[Any]:
    since = first_id_at(clock.now() - timedelta(hours=wanted.hours))
    found = found.where(JobStep.id > since, IS_LOST)
    if wanted.node_id is not None:
        found = found.where(JobStep.node_id == wanted.node_id)
    if wanted.cluster:
        found = found.where(JobStep.node_id.in_(nodes_of_cluster(wanted.cluster)))
    return found.where(reason == wanted.reason) if wanted.reason else found


def nodes_of_cluster(name: str) -> Select[UUID]:
    told = func.string_to_array(func.coalesce(Node.labels["cluster"].astext, ""), ",")
    return select(Node.id).where(func.array_position(told, name).is_not(None))


def groups(session: Session, wanted: Wanted) -> Sequence[Group]:
    """The largest first."""
    why = first_reason()
    reason = func.coalesce(why.c.reason, "unknown")
    counted = select(JobStep.node_id, reason, func.count(), func.max(JobStep.date_finished))
    found = limited(counted.outerjoin(why, true()), wanted, reason).group_by(JobStep.node_id, reason)
    rows = found.order_by(func.count().desc(), JobStep.node_id).limit(GROUPS_MAX).subquery()
    named = select(Node, *rows.c).select_from(rows).outerjoin(Node, Node.id == rows.c[0])
    return [Group(row[0], *row[2:]) for row in session.execute(named.order_by(rows.c[2].desc(), rows.c[0]))]


def newest(session: Session, wanted: Wanted, page: Page) -> Part[JobStep]:
    """With machine, job and build; why, is another question (`whys`)."""
    why = first_reason()
    found = limited(select(JobStep).outerjoin(why, true()), wanted, func.coalesce(why.c.reason, "unknown"))
    with_build = joinedload(JobStep.job).joinedload(Job.build)
    lean = (joinedload(JobStep.node), with_build.lazyload(Build.source), with_build.lazyload(Build.author))
    return newest_first(session, found.options(*lean), JobStep.id, page)


def whys(session: Session, steps: Sequence[JobStep]) -> dict[UUID, str]:
    """Sentences, by step."""
    told: dict[UUID, str] = {}
    mine = select(FailureReason).where(FailureReason.step_id.in_([step.id for step in steps]))
    for each in session.execute(mine.order_by(FailureReason.id)).scalars():
        if each.step_id is not None:
            said = reasons.sentence(each.reason, each.data)
            told[each.step_id] = f"{told[each.step_id]} {said}" if each.step_id in told else said
    return told
