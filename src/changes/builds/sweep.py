"""Looks for silence: steps whose agent is not heard of any more or does not begin, steps and builds that
take too long, and steps whose results nobody reads any more.

It settles through the same functions as a report, so there is one way to end a step. Every limit is
counted by the database's clock, and looked at again under the build's lock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.orm import Session

from changes.base.task import FINAL, NOW, Task
from changes.builds import reasons, report, retry, rules, second_look, settle, telling
from changes.builds.models import Build, JobStep, Node
from changes.builds.queue_rules import NodeKind
from changes.builds.reasons import Reason
from changes.builds.rules import HELD, ReplaceLimits, Result, Status
from changes.projects.models import Project

# An agent ends a step at its limit by itself; this is how long we wait for it to do so.
TIMEOUT_GRACE_S = 120
# Longer than all attempts at reading take, with the pauses between them.
UNREAD_MAX_MIN = 15
AT_ONCE = 200

log = structlog.get_logger()


@dataclass(frozen=True)
class Limits:
    silence_s: int
    replacements: int
    machines: int = 2
    allocation_s: int = 180

    @property
    def of_replacing(self) -> ReplaceLimits:
        return ReplaceLimits(self.replacements, self.machines)


@dataclass(frozen=True)
class Look:
    """One kind of silence: how it is found, and what becomes of a step then."""

    is_so: Callable[[Limits], ColumnElement[bool]]
    give_up: Callable[[Session, JobStep, Limits], None]
    # What nobody could tell, or take, while no server listened is not the agents' fault, nor the step's: what
    # they kept of it meanwhile comes first.
    needs_hearing: bool = False


def find(session: Session, look: Look, limits: Limits) -> list[UUID]:
    found = select(JobStep.id).where(look.is_so(limits)).limit(AT_ONCE)
    return list(session.execute(found).scalars())


def settle_silent(session: Session, look: Look, step_id: UUID, limits: Limits) -> None:
    """Asked again under the lock: a word of the agent may have come in between."""
    step = settle.lock_step(session, step_id)
    if step is None:
        return
    still = select(JobStep.id).where(JobStep.id == step_id, look.is_so(limits))
    if session.execute(still).first() is not None:
        look.give_up(session, step, limits)


# --- nobody is heard ---------------------------------------------------------------------


def is_silent(limits: Limits) -> ColumnElement[bool]:
    before = NOW - timedelta(seconds=limits.silence_s)
    # A scheduler of the original starts its agent first; whether that begins is looked at below.
    schedulers = select(Node.id).where(Node.kind == NodeKind.SCHEDULER)
    is_being_started = (JobStep.status == Status.ALLOCATED) & JobStep.node_id.in_(schedulers)
    is_silent = JobStep.status.in_(HELD) & (JobStep.last_heartbeat < before)
    return is_silent & ~func.coalesce(is_being_started, false())


def give_up_silent(session: Session, step: JobStep, limits: Limits) -> None:
    node = name_of_node(session, step)
    log.warning("step lost", step=step.id.hex, node=node, silence_s=limits.silence_s)
    why = Reason(reasons.AGENT_LOST, {"node": node, "silence_s": limits.silence_s})
    retry.replace_lost_step(session, step, why, limits.of_replacing)


def is_not_begun(limits: Limits) -> ColumnElement[bool]:
    before = NOW - timedelta(seconds=limits.allocation_s)
    return (JobStep.status == Status.ALLOCATED) & (JobStep.date_allocated < before)


def give_up_not_begun(session: Session, step: JobStep, limits: Limits) -> None:
    """Its agent is alive, or it would be silent; it must not begin any more."""
    node = name_of_node(session, step)
    log.warning("step not begun", step=step.id.hex, node=node, limit_s=limits.allocation_s)
    telling.tell_to_stop(session, step.node_id)
    why = Reason(reasons.ALLOCATION_TIMEOUT, {"node": node, "limit_s": limits.allocation_s})
    retry.replace_lost_step(session, step, why, limits.of_replacing)


def name_of_node(session: Session, step: JobStep) -> str:
    node = session.get(Node, step.node_id) if step.node_id else None
    return node.label if node else "(gone)"


# --- it takes too long -------------------------------------------------------------------


def is_overdue(_limits: Limits) -> ColumnElement[bool]:
    allowed = func.make_interval(0, 0, 0, 0, 0, 0, JobStep.timeout_s + TIMEOUT_GRACE_S)
    return (JobStep.status == Status.IN_PROGRESS) & (JobStep.date_started + allowed < NOW)


def give_up_overdue(session: Session, step: JobStep, _limits: Limits) -> None:
    settle.explain(session, step.job.build_id, Reason(reasons.TIMEOUT, report.limit_of(step)), step=step)
    telling.tell_to_stop(session, step.node_id)
    retry.end_step(session, step, rules.result_of_timeout(step.status))


def is_queued_too_long(_limits: Limits) -> ColumnElement[bool]:
    allowed = func.make_interval(0, 0, 0, 0, 0, 0, JobStep.queue_limit_s)
    is_limited = (JobStep.status == Status.PENDING_ALLOCATION) & JobStep.queue_limit_s.is_not(None)
    # A pause between two attempts is not waiting for an agent.
    since = func.greatest(JobStep.date_pending, JobStep.not_before)
    return is_limited & (since + allowed < NOW)


def give_up_queued(session: Session, step: JobStep, _limits: Limits) -> None:
    minutes = round((step.queue_limit_s or 0) / 60, 1)
    why = Reason(reasons.QUEUE_TIMEOUT, {"limit_min": minutes, "project": slug_of(session, step.project_id)})
    settle.explain(session, step.job.build_id, why, step=step)
    settle.finish_step(session, step, rules.result_of_timeout(step.status))


def slug_of(session: Session, project_id: UUID) -> str:
    return session.execute(select(Project.slug).where(Project.id == project_id)).scalar_one()


# --- nobody reads what it left behind ----------------------------------------------------


def is_uncollected(_limits: Limits) -> ColumnElement[bool]:
    """Whoever still works on it, or waits for his next attempt, is not silent: reading may be slow."""
    before = NOW - timedelta(minutes=UNREAD_MAX_MIN)
    being_read = select(Task.id).where(Task.child_id == JobStep.id, Task.state.not_in(FINAL)).exists()
    # One that is looked at again ends with that look, which may take as long as any step.
    is_looked_at: ColumnElement[bool] = JobStep.data.has_key(second_look.STATE)
    is_unread = (JobStep.status == Status.COLLECTING_RESULTS) & (JobStep.last_heartbeat < before)
    return is_unread & ~being_read & ~is_looked_at


def give_up_uncollected(session: Session, step: JobStep, _limits: Limits) -> None:
    """Without its results nobody can say that the step passed; that it failed stays true."""
    log.warning("results not read", step=step.id.hex)
    why = Reason(reasons.RESULTS_NOT_READ, {"silence_min": UNREAD_MAX_MIN})
    settle.explain(session, step.job.build_id, why, step=step)
    said = second_look.awaited(step)
    result = Result.INFRA_FAILED if said == Result.PASSED else said
    settle.finish_step(session, step, result)


# --- whole builds ------------------------------------------------------------------------


def find_builds_overdue(session: Session) -> list[UUID]:
    overdue = select(Build.id).where(Build.status != Status.FINISHED, Build.date_due < NOW)
    return list(session.execute(overdue.order_by(Build.date_due).limit(AT_ONCE)).scalars())


def give_up_build(session: Session, build_id: UUID) -> None:
    build = settle.lock_build(session, build_id)
    if build.is_finished or build.date_due is None or build.date_due >= settle.moment(session):
        return
    minutes = round((build.overall_limit_s or 0) / 60, 1)
    facts = {"limit_min": minutes, "project": slug_of(session, build.project_id)}
    settle.explain(session, build.id, Reason(reasons.BUILD_TIMEOUT, facts))
    settle.end_build(session, build, rules.result_of_timeout(build.status))


SILENT = Look(is_silent, give_up_silent, needs_hearing=True)
NOT_BEGUN = Look(is_not_begun, give_up_not_begun, needs_hearing=True)
OVERDUE = Look(is_overdue, give_up_overdue, needs_hearing=True)
QUEUED = Look(is_queued_too_long, give_up_queued, needs_hearing=True)
UNCOLLECTED = Look(is_uncollected, give_up_uncollected)
LOOKS = (SILENT, NOT_BEGUN, OVERDUE, QUEUED, UNCOLLECTED)
