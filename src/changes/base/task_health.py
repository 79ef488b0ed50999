"""How the background work is: what waits, what fails and why, what is late, and what was given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, or_, select, union_all, update
from sqlalchemy.orm import Session

from changes.base import jobs
from changes.base.errors import Conflict, NotFound
from changes.base.leases import IS_LOST
from changes.base.paging import Page, Part, newest_first
from changes.base.task import IS_OPEN, NOW, Task, TaskState

# The sweep rings every second, so what is late by this much is in want of a worker.
LATE_S = 60
NAMES_MAX = 200
CHILDREN_MAX = 1_000
# With its number in the text, as IS_OPEN, so that its index serves it.
IS_DEAD: ColumnElement[bool] = Task.state == bindparam(None, TaskState.FAILED, literal_execute=True)
IS_LATE = ((Task.state == TaskState.WAITING) & (Task.due_at < NOW - timedelta(seconds=LATE_S))) | IS_LOST
IS_FAILING = Task.error.is_not(None)


@dataclass(frozen=True)
class Kind:
    """All tasks of one name and state that have not ended well; what ended well is not counted."""

    name: str
    state: TaskState
    count: int
    late: int
    failing: int
    most_attempts: int
    oldest: datetime


def kinds(session: Session) -> list[Kind]:
    """By name, then state."""
    found = union_all(counted(IS_OPEN), counted(IS_DEAD)).order_by("name", "state").limit(NAMES_MAX)
    return [Kind(row[0], TaskState(row[1]), *row[2:]) for row in session.execute(found)]


def counted(which: ColumnElement[bool]) -> Any:
    late = func.count().filter(IS_LATE)
    failing = func.count().filter(IS_FAILING)
    each = select(
        Task.name, Task.state, func.count(), late, failing, func.max(Task.attempts), func.min(Task.due_at)
    )
    return each.where(which).group_by(Task.name, Task.state)


def dead(session: Session, page: Page, name: str = "") -> Part[Task]:
    """Given up after their last attempt, newest first."""
    found = select(Task).where(IS_DEAD)
    return newest_first(session, found.where(Task.name == name) if name else found, Task.id, page)


def in_trouble(session: Session, *, limit: int, name: str = "") -> Sequence[Task]:
    """Late or failing, and still to be done: those due longest first."""
    found = select(Task).where(IS_OPEN, or_(IS_LATE, IS_FAILING))
    named = found.where(Task.name == name) if name else found
    return session.execute(named.order_by(Task.due_at).limit(limit)).scalars().all()


def statistics(session: Session) -> Sequence[Row[str, TaskState, int, int, datetime]]:
    """Of those that have not ended: name, state, count, most attempts, oldest."""
    each = select(Task.name, Task.state, func.count(), func.max(Task.attempts), func.min(Task.date_created))
    return session.execute(each.where(IS_OPEN).group_by(Task.name, Task.state)).all()


def task(session: Session, task_id: UUID) -> Task:
    found = session.get(Task, task_id)
    if found is None:
        raise NotFound("There is no such task.")
    return found


def children(session: Session, task_id: UUID) -> Sequence[Task]:
    """All below it, parents before their children; bounded."""
    below = select(Task.id).where(Task.parent_id == task_id).cte("below", recursive=True)
    below = below.union(select(Task.id).where(Task.parent_id == below.c.id))
    found = select(Task).where(Task.id.in_(select(below.c.id)), Task.id != task_id)
    return session.execute(found.order_by(Task.id).limit(CHILDREN_MAX)).scalars().all()


# --- what an operator may do about it -------------------------------------------------------


def again(session: Session, task_id: UUID) -> Task:
    """From the first attempt on. Tasks may run twice by their nature, so this does no harm."""
    fresh = {"state": TaskState.WAITING, "attempts": 0, "due_at": NOW, "sent_at": NOW}
    tried = update(Task).where(Task.id == task_id, IS_DEAD)
    values = {**fresh, "error": None, "lease": None, "date_finished": None}
    if session.execute(tried.values(values).returning(Task.id)).first() is None:
        raise Conflict(f"{said(session, task_id)}; only one that was given up is done again.")
    jobs.ring_after_commit(session, task_id)
    return refreshed(session, task_id)


def forget(session: Session, task_id: UUID) -> None:
    """What it was to do stays undone, unless somebody asks for it anew."""
    gone = delete(Task).where(Task.id == task_id, IS_DEAD).returning(Task.id)
    if session.execute(gone).first() is None:
        raise Conflict(f"{said(session, task_id)}; only one that was given up is forgotten.")


def refreshed(session: Session, task_id: UUID) -> Task:
    found = task(session, task_id)
    session.refresh(found)
    return found


def said(session: Session, task_id: UUID) -> str:
    found = refreshed(session, task_id)
    return f"The task {found.name} is {found.state.name.lower()}"
