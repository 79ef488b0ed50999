"""Looks for silence: steps whose agent is not heard of any more, steps that run too long, and
steps whose results nobody reads any more.

It settles through the same functions as a report, so there is one way to end a step.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.base.task import FINAL, Task
from changes.builds import reasons, retry, settle
from changes.builds.models import JobStep, Node
from changes.builds.reasons import Reason
from changes.builds.rules import HELD, Result, Status

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


def find_silent(session: Session, limits: Limits) -> list[UUID]:
    before = func.now() - timedelta(seconds=limits.silence_s)
    silent = select(JobStep.id).where(JobStep.status.in_(HELD), JobStep.last_heartbeat < before)
    return list(session.execute(silent.order_by(JobStep.last_heartbeat).limit(AT_ONCE)).scalars())


def find_overdue(session: Session) -> list[UUID]:
    end = JobStep.date_started + func.make_interval(0, 0, 0, 0, 0, 0, JobStep.timeout_s + TIMEOUT_GRACE_S)
    overdue = select(JobStep.id).where(JobStep.status == Status.IN_PROGRESS, end < func.now())
    return list(session.execute(overdue.limit(AT_ONCE)).scalars())


def find_uncollected(session: Session) -> list[UUID]:
    """Whoever still works on it, or waits for his next attempt, is not silent: reading may be slow."""
    before = func.now() - timedelta(minutes=UNREAD_MAX_MIN)
    being_read = select(Task.id).where(Task.child_id == JobStep.id, Task.state.not_in(FINAL)).exists()
    unread = select(JobStep.id).where(
        JobStep.status == Status.COLLECTING_RESULTS, JobStep.last_heartbeat < before, ~being_read
    )
    return list(session.execute(unread.limit(AT_ONCE)).scalars())


def give_up_silent(session: Session, step_id: UUID, limits: Limits) -> None:
    step = settle.lock_step(session, step_id)
    if step is None or step.status not in HELD or not is_silent(session, step, limits):
        return
    node = session.get(Node, step.node_id) if step.node_id else None
    name = node.label if node else "(gone)"
    log.warning("step lost", step=step.id.hex, node=name, silence_s=limits.silence_s)
    why = Reason(reasons.AGENT_LOST, {"node": name, "silence_s": limits.silence_s})
    retry.replace_lost_step(session, step, why, limit=limits.replacements)


def is_silent(session: Session, step: JobStep, limits: Limits) -> bool:
    """Asked again under the lock, by the database's clock, which also wrote the heartbeat."""
    now = session.execute(select(func.now())).scalar_one()
    return step.last_heartbeat is not None and step.last_heartbeat < now - timedelta(seconds=limits.silence_s)


def give_up_overdue(session: Session, step_id: UUID) -> None:
    step = settle.lock_step(session, step_id)
    if step is None or step.status != Status.IN_PROGRESS:
        return
    why = Reason(reasons.TIMEOUT, {"limit_min": round(step.timeout_s / 60, 1)})
    settle.explain(session, step.job.build_id, why, step=step)
    settle.finish_step(session, step, Result.FAILED)
    if step.node_id:
        settle.notify(session, settle.STOP_CHANNEL, step.node_id.hex)


def give_up_uncollected(session: Session, step_id: UUID) -> None:
    """Without its results nobody can say that the step passed; that it failed stays true."""
    step = settle.lock_step(session, step_id)
    if step is None or step.status != Status.COLLECTING_RESULTS:
        return
    log.warning("results not read", step=step.id.hex)
    why = Reason(reasons.RESULTS_NOT_READ, {"silence_min": UNREAD_MAX_MIN})
    settle.explain(session, step.job.build_id, why, step=step)
    result = Result.INFRA_FAILED if step.result == Result.PASSED else step.result
    settle.finish_step(session, step, result)
