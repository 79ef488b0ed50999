"""Looks for silence among tasks: rings again, gives up what kills its workers, forgets the old."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session, aliased

from changes.base import jobs
from changes.base.leases import IS_LOST, Lease
from changes.base.task import FINAL, IS_OPEN, NOW, Task, TaskState

# A bell that rang this long ago without anybody coming is rung again.
RING_AGAIN_S = 15
AT_ONCE = 500
KEEP_FINISHED_DAYS = 7
KEEP_FAILED_DAYS = 60


def sweep(session: Session, *, room: int = AT_ONCE) -> int:
    """Sends again what nobody took and what lost its lease; returns how many.

    `room` is how many more messages the broker should hold: workers that are busy for long
    would otherwise find the same tasks in it a thousand times.
    """
    give_up_deadly(session)
    wake_forgotten_parents(session)
    task_ids = silent(session, min(room, AT_ONCE))
    session.execute(update(Task).where(Task.id.in_(task_ids)).values(sent_at=NOW))
    jobs.ring_after_commit(session, *task_ids)
    return len(task_ids)


def silent(session: Session, limit: int) -> list[UUID]:
    overdue = (Task.state == TaskState.WAITING) & (Task.due_at <= NOW)
    # What is due later was never rung for: its time has just come.
    rung_long_ago = or_(Task.sent_at <= NOW - timedelta(seconds=RING_AGAIN_S), Task.sent_at < Task.due_at)
    found = select(Task.id).where(IS_OPEN, or_(overdue, IS_LOST), rung_long_ago)
    oldest_first = found.order_by(Task.due_at).limit(limit).with_for_update(skip_locked=True)
    return list(session.execute(oldest_first).scalars())


def give_up_deadly(session: Session) -> None:
    """A task whose workers all died in it never gets to say that it failed."""
    deadly = select(Task).where(IS_OPEN, IS_LOST, Task.attempts >= jobs.ATTEMPTS_MAX)
    for task in session.execute(deadly.limit(AT_ONCE).with_for_update(skip_locked=True)).scalars().all():
        if task.lease is not None:
            lease = Lease(task.id, task.lease, task.name, task.child_id, task.attempts)
            why = f"its worker ended or went silent {task.attempts} times while it ran"
            jobs.end(session, lease, TaskState.FAILED, why)


def wake_forgotten_parents(session: Session) -> None:
    """A child that was asked for by another parent as well wakes that one only."""
    child = aliased(Task)
    has_children = select(child.id).where(child.parent_id == Task.id, child.state.not_in(FINAL)).exists()
    forgotten = select(Task.id).where(IS_OPEN, Task.state == TaskState.CHILDREN, ~has_children)
    for parent_id in session.execute(forgotten.limit(AT_ONCE)).scalars().all():
        jobs.wake_parent(session, parent_id)


def clean(session: Session) -> int:
    """Forgets tasks that finished well some days ago; failed ones stay longer, to be looked at."""
    old = or_(
        ended(TaskState.FINISHED, KEEP_FINISHED_DAYS),
        ended(TaskState.FAILED, KEEP_FAILED_DAYS),
    )
    return len(session.execute(delete(Task).where(old).returning(Task.id)).all())


def ended(state: TaskState, days_ago: int) -> ColumnElement[bool]:
    return (Task.state == state) & (Task.date_finished < NOW - timedelta(days=days_ago))
