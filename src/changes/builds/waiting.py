"""What a step or a build waits for: the facts, by a fixed number of questions whatever the queue holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from changes.base.task import NOW
from changes.builds import queue_position, waiting_rules
from changes.builds.dispatch import UNKNOWN_S
from changes.builds.lanes import Needs, needs_of, offer_of
from changes.builds.models import Build, FailureReason, Job, JobStep, Node
from changes.builds.queue_models import ConcurrencyGroup, Lane
from changes.builds.queue_position import Estimate, LaneSeen
from changes.builds.queue_rules import NodeState
from changes.builds.rules import HELD, Status
from changes.builds.waiting_rules import Facts, Holder, Limit, Machine, Waiting
from changes.projects.models import Project, ProjectOption

READING = "What its steps left behind waits to be read by a worker."
LIMIT = "queue.limit"
LEFT = (Status.PENDING_ALLOCATION, Status.COLLECTING_RESULTS)
# How long the steps of a lane take and how much that varies; None = nobody knows.
Typical = dict[UUID, tuple[float, float] | None]
OUT = {NodeState.DRAINED: "drained", NodeState.DISABLED: "disabled"}
HOLDERS_MAX = 100

# The lanes that wait, with how many, and what dispatch knows of their turns.
LANES = text("""
    select lane.id, lane.project_id, lane.person_turn_id, lane.priority, lane.is_automatic,
        lane.cluster, lane.labels, lane.cpus, lane.memory_mb, lane.typical_s, lane.deviation_s, open.waiting,
        greatest(project.virtual_time, class.clock) as project_start,
        greatest(person.virtual_time, project.clock) as person_start,
        coalesce((
            select nullif(value, '0')::float from project_option
            where project_option.project_id = lane.project_id and name = 'queue.weight'
                and value ~ '^[0-9]{1,6}$'
        ), 1) as weight
    from (
        select lane_id, count(*) as waiting from job_step where status = 6 and lane_id is not null group by 1
    ) open
    join lane on lane.id = open.lane_id
    join turn class on class.id = lane.class_turn_id
    join turn project on project.id = lane.project_turn_id
    join turn person on person.id = lane.person_turn_id
""")


@dataclass(frozen=True)
class Explanation:
    """Of a step that waits for an agent."""

    step_id: UUID
    waiting: Waiting
    since: datetime
    not_before: datetime | None
    ahead: int
    # None where nothing can be said, because somebody must do something first.
    estimate: Estimate | None


def sentence(session: Session, build: Build, *, silence_s: int) -> str | None:
    """None while agents work on all of it, or when it has ended."""
    if build.is_finished:
        return None
    found = select(JobStep).join(Job).where(Job.build_id == build.id, JobStep.status.in_(LEFT))
    oldest = found.ext(distinct_on(JobStep.status)).order_by(JobStep.status, JobStep.id)
    first = {step.status: step for step in session.execute(oldest).scalars()}
    pending = first.get(Status.PENDING_ALLOCATION)
    if pending is not None:
        return explain(session, pending, silence_s=silence_s).waiting.sentence
    return READING if Status.COLLECTING_RESULTS in first else None


def steps_that_wait(session: Session, build_id: UUID, *, limit: int) -> Sequence[JobStep]:
    mine = select(JobStep).join(Job).where(Job.build_id == build_id)
    pending = mine.where(JobStep.status == Status.PENDING_ALLOCATION)
    return session.execute(pending.order_by(JobStep.id).limit(limit)).scalars().all()


def explain(session: Session, step: JobStep, *, silence_s: int) -> Explanation:
    """Of a step that waits for an agent, and of no other."""
    now = session.execute(select(NOW)).scalar_one()
    lane = session.get(Lane, step.lane_id) if step.lane_id else None
    needs = needs_of(lane) if lane is not None else Needs(step.cluster)
    machines = all_machines(session, now, silence_s)
    before, typical = before_it(session, step, lane)
    facts = Facts(
        needs=needs,
        machines=[machine for machine, _ in machines],
        project_limit=project_limit(session, step.project_id),
        group_limit=group_limit(session, lane.concurrency_group if lane else None),
        not_before=step.not_before if step.not_before is not None and step.not_before > now else None,
        ahead=sum(before.values()),
        silence_s=silence_s,
    )
    waiting = waiting_rules.decide(facts)
    estimate = None
    if waiting.block not in waiting_rules.UNTIL_SOMEBODY_ACTS:
        pool = [node_id for machine, node_id in machines if waiting_rules.may_run(machine, needs)]
        estimate = when(session, before, typical, (facts, pool, now))
    return Explanation(step.id, waiting, step.date_pending, facts.not_before, facts.ahead, estimate)


# --- machines ----------------------------------------------------------------------------


def all_machines(session: Session, now: datetime, silence_s: int) -> list[tuple[Machine, UUID]]:
    """Those that have a key, with what they are at."""
    held = (
        select(
            JobStep.node_id,
            func.count().label("steps"),
            func.coalesce(func.sum(Lane.cpus), 0).label("cpus"),
            func.coalesce(func.sum(Lane.memory_mb), 0).label("memory_mb"),
        )
        .outerjoin(Lane, Lane.id == JobStep.lane_id)
        .where(JobStep.status.in_(HELD))
        .group_by(JobStep.node_id)
        .subquery()
    )
    found = select(Node, held.c.steps, held.c.cpus, held.c.memory_mb)
    known = found.outerjoin(held, held.c.node_id == Node.id).where(Node.token_digest.is_not(None))
    since = now - timedelta(seconds=silence_s)
    return [
        (
            Machine(
                name=node.label,
                offer=offer_of(node),
                slots=node.slots,
                held=steps or 0,
                free_cpus=node.cpus - (cpus or 0),
                free_memory_mb=node.memory_mb - (memory_mb or 0),
                is_live=node.date_last_seen is not None and node.date_last_seen > since,
                out=why_out(node, now),
            ),
            node.id,
        )
        for node, steps, cpus, memory_mb in session.execute(known.order_by(Node.label))
    ]


def why_out(node: Node, now: datetime) -> str | None:
    """Why it gets no steps, whether it lives or not."""
    if node.state in OUT:
        return f"{OUT[node.state]}{f' ({node.state_reason})' if node.state_reason else ''}"
    if node.quarantined_until is not None and node.quarantined_until > now:
        return (
            f"in quarantine until {node.quarantined_until:%H:%M:%S} UTC, as it lost steps one after the other"
        )
    return None


# --- limits ------------------------------------------------------------------------------


def project_limit(session: Session, project_id: UUID) -> Limit | None:
    named = select(Project.slug, ProjectOption.value).join(ProjectOption)
    row = session.execute(named.where(Project.id == project_id, ProjectOption.name == LIMIT)).one_or_none()
    if row is None or not row.value.isdecimal():
        return None
    return limit_held(session, row.slug, int(row.value), Lane.project_id == project_id)


def group_limit(session: Session, name: str | None) -> Limit | None:
    if name is None:
        return None
    mine = select(ConcurrencyGroup.limit).where(ConcurrencyGroup.name == name)
    most = session.execute(mine).scalar_one_or_none()
    return None if most is None else limit_held(session, name, most, Lane.concurrency_group == name)


def limit_held(session: Session, name: str, most: int, mine: ColumnElement[bool]) -> Limit:
    """With the builds that hold it, the oldest first."""
    held = (
        select(Build.id, Project.slug, Build.number, func.count())
        .select_from(Lane)
        .join(JobStep, JobStep.lane_id == Lane.id)
        .join(Job, Job.id == JobStep.job_id)
        .join(Build, Build.id == Job.build_id)
        .join(Project, Project.id == Build.project_id)
        .where(mine, JobStep.status.in_(HELD))
        .group_by(Build.id, Project.slug)
        .order_by(Build.id)
    )
    holders = [Holder(*row) for row in session.execute(held.limit(HOLDERS_MAX))]
    return Limit(name, most, sum(each.steps for each in holders), holders)


# --- place and time ----------------------------------------------------------------------


def before_it(session: Session, step: JobStep, lane: Lane | None) -> tuple[dict[UUID, int], Typical]:
    """How many of each lane come before it, and how long those of each lane take."""
    if lane is None:
        return {}, {}
    rows = session.execute(LANES).all()
    seen = {row.id: lane_seen(row) for row in rows}
    needs = {row.id: Needs(row.cluster, row.labels, row.cpus, row.memory_mb) for row in rows}
    mine = seen.get(lane.id)
    if mine is None:
        return {}, {}
    older = select(func.count()).where(
        JobStep.lane_id == lane.id, JobStep.status == Status.PENDING_ALLOCATION, JobStep.id < step.id
    )
    place = session.execute(older).scalar_one()
    others = [each for each in seen.values() if each.id != mine.id and needs[each.id].cluster == lane.cluster]
    known = [each.typical_s for each in seen.values() if each.typical_s is not None]
    usual_s = sum(known) / len(known) if known else None
    typical = {each.id: typical_of(each, usual_s) for each in (mine, *others)}
    return queue_position.ahead(mine, place, others), typical


def lane_seen(row: Any) -> LaneSeen:
    return LaneSeen(
        id=row.id,
        waiting=row.waiting,
        rank=(-row.priority, row.is_automatic),
        project_id=row.project_id,
        person_id=row.person_turn_id,
        project_start=row.project_start,
        person_start=row.person_start,
        charge_s=UNKNOWN_S if row.typical_s is None else row.typical_s,
        weight=row.weight,
        typical_s=row.typical_s,
        deviation_s=row.deviation_s,
    )


def typical_of(lane: LaneSeen, usual_s: float | None) -> tuple[float, float] | None:
    """Of a lane without a history what is usual for the others, and as uncertain as it is long."""
    if lane.typical_s is not None:
        return lane.typical_s, lane.deviation_s or 0
    return None if usual_s is None else (usual_s, usual_s)


def when(
    session: Session, before: dict[UUID, int], typical: Typical, around: tuple[Facts, list[UUID], datetime]
) -> Estimate | None:
    """None when nothing has ended yet that could tell how long things take."""
    facts, node_ids, now = around
    rows = running_on(session, node_ids)
    if any(typical.get(lane_id) is None for lane_id in before) or any(row[1] is None for row in rows):
        return None
    left = [(max(0.0, row[1] - (now - (row[0] or now)).total_seconds()), row[2] or 0.0) for row in rows]
    ahead = [(count, *known) for lane_id, count in before.items() if (known := typical[lane_id])]
    slots = sum(machine.slots for machine in facts.machines if waiting_rules.may_run(machine, facts.needs))
    limits = [limit.most for limit in (facts.project_limit, facts.group_limit) if limit is not None]
    return queue_position.estimate(ahead, left, min(slots, *limits) if limits else slots)


def running_on(session: Session, node_ids: list[UUID]) -> Sequence[Any]:
    """When it began, how long its like takes, and how much that varies."""
    held = select(JobStep.date_started, Lane.typical_s, Lane.deviation_s)
    mine = held.outerjoin(Lane, Lane.id == JobStep.lane_id)
    return session.execute(mine.where(JobStep.node_id.in_(node_ids), JobStep.status.in_(HELD))).all()


# --- what was lost -----------------------------------------------------------------------


def lost_attempts(session: Session, build_id: UUID) -> Sequence[FailureReason]:
    """Why steps of this build had to be made again; none of it counts as a failure of the build."""
    replaced = JobStep.replacement_id.is_not(None)
    found = select(FailureReason).join(JobStep, JobStep.id == FailureReason.step_id)
    mine = found.where(FailureReason.build_id == build_id, replaced).order_by(FailureReason.id)
    return session.execute(mine).scalars().all()
