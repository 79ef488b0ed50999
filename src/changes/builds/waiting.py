"""What a step or a build waits for: the facts, by one question whatever the queue holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from changes.builds import queue_look, queue_position, second_look, turns, waiting_rules
from changes.builds.copies import AVOIDED
from changes.builds.lanes import Needs
from changes.builds.models import Build, Expansion, FailureReason, Job, JobStep
from changes.builds.queue_look import LaneLine, Look
from changes.builds.queue_position import Estimate, LaneSeen
from changes.builds.retry import ELSEWHERE
from changes.builds.rules import Status
from changes.builds.waiting_rules import Facts, Machine, Waiting

CHECKING = "Checking: what failed newly is run again alone before the verdict is final."
READING = "What its steps left behind waits to be read by a worker."
EXPANDING = "The steps of the {size:,} commands or names that were collected are being made."
LEFT = (Status.PENDING_ALLOCATION, Status.COLLECTING_RESULTS)
# Those that are not in the queue yet, too.
WAITING = (Status.PENDING_ALLOCATION, Status.QUEUED)
# How long the steps of a lane take and how much that varies; None = nobody knows.
Typical = dict[UUID, tuple[float, float] | None]


@dataclass(frozen=True)
class Explanation:
    """Of a step that waits for an agent, or for its turn to do so."""

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
    read = first.get(Status.COLLECTING_RESULTS)
    if read is None:
        return None
    if second_look.is_checking(read):
        return CHECKING
    size = session.execute(select(Expansion.size).where(Expansion.step_id == read.id)).scalar_one_or_none()
    return READING if size is None else EXPANDING.format(size=size)


def waits(step: JobStep) -> bool:
    """What runs in another system waits for nothing here."""
    return step.status in WAITING and ELSEWHERE not in step.data


def steps_that_wait(session: Session, build_id: UUID, *, limit: int) -> Sequence[JobStep]:
    """Those that wait for an agent first."""
    mine = select(JobStep).join(Job).where(Job.build_id == build_id, JobStep.status.in_(WAITING))
    mine = mine.where(~JobStep.data.has_key(ELSEWHERE))
    in_order = mine.order_by(JobStep.status != Status.PENDING_ALLOCATION, JobStep.id)
    return session.execute(in_order.limit(limit)).scalars().all()


def explain(session: Session, step: JobStep, *, silence_s: int) -> Explanation:
    """Of a step that waits, and of no other."""
    (told,) = explain_all(session, [step], silence_s=silence_s)
    return told


def explain_all(session: Session, steps: Sequence[JobStep], *, silence_s: int) -> list[Explanation]:
    queued = [step for step in steps if step.status == Status.QUEUED]
    found = turns.of_queued(session, queued)
    told = {
        step.id: Explanation(step.id, found[step.id], step.date_pending, None, 0, None) for step in queued
    }
    told |= explain_pending(session, [step for step in steps if step.id not in told], silence_s=silence_s)
    return [told[step.id] for step in steps]


def explain_pending(session: Session, steps: Sequence[JobStep], *, silence_s: int) -> dict[UUID, Explanation]:
    if not steps:
        return {}
    seen = queue_look.look(session, silence_s=silence_s, steps=steps)
    lanes = {line.seen.id: line for line in seen.lanes}
    return {
        step.id: explained(seen, step, lanes.get(step.lane_id) if step.lane_id else None) for step in steps
    }


def explained(seen: Look, step: JobStep, line: LaneLine | None) -> Explanation:
    before: dict[UUID, int] = {}
    if line is not None:
        before = queue_position.ahead(line.seen, seen.places.get(step.id, 0), beside(seen, line))
    is_pausing = step.not_before is not None and step.not_before > seen.now
    needs = line.needs if line is not None else Needs(step.cluster)
    asked, avoided = whom_to_ask(seen, step, needs, kept_for_others(seen, line))
    facts = Facts(
        needs=needs,
        machines=asked,
        avoided=[machine.name for machine in avoided],
        project_limit=seen.limit_of_project(step.project_id),
        group_limit=seen.limit_of_group(line.group if line is not None else None),
        not_before=step.not_before if is_pausing else None,
        ahead=sum(before.values()),
        silence_s=seen.silence_s,
        disk=seen.disk,
        kept_on=kept_on(seen, line) if line is not None else None,
    )
    waiting = waiting_rules.decide(facts)
    estimate = None
    if waiting.block not in waiting_rules.UNTIL_SOMEBODY_ACTS:
        estimate = when(seen, facts, before)
    return Explanation(step.id, waiting, step.date_pending, facts.not_before, facts.ahead, estimate)


def whom_to_ask(
    seen: Look, step: JobStep, needs: Needs, kept: dict[UUID, str]
) -> tuple[list[Machine], list[Machine]]:
    """And those that lost it: they are not given it while there is another that could do it (dispatch.py)."""
    lost_by = set(step.data.get(AVOIDED, ()))
    machines = machines_kept(seen, kept)
    avoided = [machine for machine, node_id in machines if node_id.hex in lost_by]
    others = [machine for machine, node_id in machines if node_id.hex not in lost_by]
    if any(waiting_rules.may_run(machine, needs) for machine in others):
        return others, avoided
    return [machine for machine, _ in machines], []


def kept_for_others(seen: Look, line: LaneLine | None) -> dict[UUID, str]:
    """Machines that are kept free for what comes before this line, and for what that is."""
    before = takewhile(lambda each: line is None or each.seen.id != line.seen.id, seen.lanes)
    return {each.kept_on: each.in_words for each in before if each.kept_on is not None}


def kept_on(seen: Look, line: LaneLine) -> str | None:
    return next((machine.name for machine, node_id in seen.machines if node_id == line.kept_on), None)


def machines_kept(seen: Look, kept: dict[UUID, str]) -> list[tuple[Machine, UUID]]:
    return [
        (replace(machine, kept_for=kept[node_id]) if node_id in kept else machine, node_id)
        for machine, node_id in seen.machines
    ]


def of_lane(seen: Look, line: LaneLine) -> Waiting:
    """What the first step of a lane waits for."""
    before = queue_position.ahead(line.seen, 0, beside(seen, line))
    facts = Facts(
        needs=line.needs,
        machines=[machine for machine, _ in machines_kept(seen, kept_for_others(seen, line))],
        kept_on=kept_on(seen, line),
        project_limit=seen.limit_of_project(line.seen.project_id),
        group_limit=seen.limit_of_group(line.group),
        ahead=sum(before.values()),
        silence_s=seen.silence_s,
        disk=seen.disk,
    )
    return waiting_rules.decide(facts)


# --- place and time ----------------------------------------------------------------------


def beside(seen: Look, line: LaneLine) -> list[LaneSeen]:
    """The other lanes that the same machines serve."""
    others = (each for each in seen.lanes if each.needs.cluster == line.needs.cluster)
    return [each.seen for each in others if each.seen.id != line.seen.id]


def typical_of_lanes(seen: Look) -> Typical:
    """Of a lane without a history what is usual for the others, and as uncertain as it is long."""
    lanes = [line.seen for line in seen.lanes]
    known = [lane.typical_s for lane in lanes if lane.typical_s is not None]
    usual_s = sum(known) / len(known) if known else None
    return {lane.id: typical_of(lane, usual_s) for lane in lanes}


def typical_of(lane: LaneSeen, usual_s: float | None) -> tuple[float, float] | None:
    if lane.typical_s is not None:
        return lane.typical_s, lane.deviation_s or 0
    return None if usual_s is None else (usual_s, usual_s)


def when(seen: Look, facts: Facts, before: dict[UUID, int]) -> Estimate | None:
    """None when nothing has ended yet that could tell how long things take."""
    able = {machine.name for machine in facts.machines if waiting_rules.may_run(machine, facts.needs)}
    pool = {node_id for machine, node_id in seen.machines if machine.name in able}
    running = [each for each in seen.running if each.node_id in pool]
    typical = typical_of_lanes(seen)
    if any(typical.get(lane_id) is None for lane_id in before) or any(r.typical_s is None for r in running):
        return None
    left = [
        (
            max(0.0, (r.typical_s or 0.0) - (seen.now - (r.since or seen.now)).total_seconds()),
            r.deviation_s or 0.0,
        )
        for r in running
    ]
    ahead = [(count, *known) for lane_id, count in before.items() if (known := typical[lane_id])]
    slots = sum(machine.slots for machine in facts.machines if waiting_rules.may_run(machine, facts.needs))
    limits = [limit.most for limit in (facts.project_limit, facts.group_limit) if limit is not None]
    return queue_position.estimate(ahead, left, min(slots, *limits) if limits else slots)


# --- what was lost -----------------------------------------------------------------------


def lost_attempts(session: Session, build_id: UUID) -> Sequence[FailureReason]:
    """Why steps of this build had to be made again; none of it counts as a failure of the build."""
    replaced = JobStep.replacement_id.is_not(None)
    found = select(FailureReason).join(JobStep, JobStep.id == FailureReason.step_id)
    mine = found.where(FailureReason.build_id == build_id, replaced).order_by(FailureReason.id)
    return session.execute(mine).scalars().all()
