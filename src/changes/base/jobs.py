"""Background work: the Task row is the truth, the broker only rings a bell.

`enqueue` writes a row in the caller's transaction; after commit its id is sent to the `bell`
(Celery). A worker `run`s it: takes a lease on the row (leases.py), calls the function, and
writes down how it ended. A sweep, every second, rings again for what nobody took and what
lost its lease (sweep.py), so a broker may forget, repeat or be away. A task may therefore
run twice and must not mind; it gets one id and nothing else.

A function may raise `ComeAgain` to be called later and `WaitForChildren` to be called when
all tasks enqueued with `parent=current_task_id()` have ended. Any other error is tried again
with growing pauses, `ATTEMPTS_MAX` times.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, db, ids, leases
from changes.base.leases import IS_RUNNING, NEVER_RUNG, Lease
from changes.base.paging import Page, Part, newest_first
from changes.base.slot import Slot
from changes.base.task import FINAL, IS_OPEN, NOW, Task, TaskState

ATTEMPTS_MAX = 10
PAUSE_MAX_S = 300
ERROR_TEXT_MAX = 2000

Body = Callable[[UUID], None]
bodies: dict[str, Body] = {}
# Work that has no row, because looking once too often does no harm: what to do when its id is rung.
standing: dict[UUID, Callable[[], None]] = {}
running_task: ContextVar[UUID] = ContextVar("running_task")


class ComeAgain(Exception):
    """Not done yet, and nothing is wrong: call me again after a while."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again after {after_s} s")
        self.after_s = after_s


class WaitForChildren(Exception):
    """Call me again when all my children have ended."""


class UnknownTask(Exception):
    """Whoever asked is of another version than this worker; another one may know the name."""


# --- asking for work ---------------------------------------------------------------------


def task(body: Body) -> Body:
    """Registers a function as a task, named by its folder: `results.collect_step`."""
    bodies[name_of(body)] = body
    return body


def name_of(body: Body) -> str:
    folder = body.__module__.removeprefix("changes.").removesuffix(".tasks")
    return f"{folder}.{body.__name__}"


def enqueue(
    session: Session, body: Body, child_id: UUID, *, parent: UUID | None = None, due_in_s: float = 0
) -> UUID:
    """One row per task and thing: asking again while it waits only brings it forward, asking
    while it runs makes it run once more, asking after it ended starts it anew.

    A row has one parent, the last that asked.
    """
    values = new_row(body, child_id, parent, due_in_s)
    ended, due_at = Task.state.in_(FINAL), values["due_at"]
    # Each word below is decided by the row as it was before this statement.
    changed = {
        "state": case((ended, literal(TaskState.WAITING, Task.state.type)), else_=Task.state),
        "again": IS_RUNNING,
        "attempts": case((ended, 0), else_=Task.attempts),
        # While it runs, this is when to run once more.
        "due_at": case(
            (ended | and_(IS_RUNNING, ~Task.again), due_at), else_=func.least(Task.due_at, due_at)
        ),
        # A row that is not rung for now keeps its time, or asking often would keep the sweep off.
        "sent_at": NOW if rings(due_in_s) else case((ended, values["sent_at"]), else_=Task.sent_at),
        "parent_id": func.coalesce(literal(parent, Task.parent_id.type), Task.parent_id),
        "error": case((ended, None), else_=Task.error),
        "date_finished": None,
    }
    row = insert(Task).values(values)
    row = row.on_conflict_do_update(index_elements=[Task.name, Task.child_id], set_=changed)
    task_id, state = session.execute(row.returning(Task.id, Task.state)).one()
    if rings(due_in_s) and state == TaskState.WAITING:
        ring_after_commit(session, task_id)
    return task_id


def enqueue_once(session: Session, body: Body, child_id: UUID, *, parent: UUID | None = None) -> None:
    """Once and never again: whoever is second to ask gets nothing, even after it ended.

    For periodic work, and for a parent that is called again when its children have ended.
    """
    row = insert(Task).values(new_row(body, child_id, parent, 0))
    task_id = session.execute(row.on_conflict_do_nothing().returning(Task.id)).scalar_one_or_none()
    if task_id is not None:
        ring_after_commit(session, task_id)


def new_row(body: Body, child_id: UUID, parent: UUID | None, due_in_s: float) -> dict[str, Any]:
    return {
        "id": ids.new(),
        "name": name_of(body),
        "child_id": child_id,
        "parent_id": parent,
        "state": TaskState.WAITING,
        "due_at": NOW + timedelta(seconds=due_in_s),
        "sent_at": NOW if rings(due_in_s) else NOW - NEVER_RUNG,
        "date_created": clock.now(),
    }


def rings(due_in_s: float) -> bool:
    return due_in_s <= 0 and bell.get() is not nobody_rings


def ring_after_commit(session: Session, *task_ids: UUID) -> None:
    for task_id in task_ids:
        db.after_commit(session, partial(ring, task_id))


def ring(task_id: UUID) -> None:
    bell.get()(task_id)


def nobody_rings(_task_id: UUID) -> None:
    """Until a process puts a bell in place: the row waits for the sweep of one that has."""


# How a task id reaches a worker.
bell: Slot[Callable[[UUID], None]] = Slot("bell")
bell.set(nobody_rings)


# --- doing it ----------------------------------------------------------------------------


def run(task_id: UUID) -> None:
    """What a worker does when the bell rings. A second ring for the same work finds nothing."""
    if task_id in standing:
        standing[task_id]()
        return
    lease = leases.take(task_id)
    if lease is None:
        return
    try:
        with leases.keeper.keeping(lease), as_current(task_id):
            body_of(lease.name)(lease.child_id)
    except ComeAgain as again:
        put_back(lease, after_s=again.after_s, attempts=0)
    except WaitForChildren:
        wait_for_children(lease)
    except BaseException as error:
        note_failure(lease, error)
        raise
    else:
        finish(lease, TaskState.FINISHED)


@contextmanager
def as_current(task_id: UUID) -> Iterator[None]:
    token = running_task.set(task_id)
    try:
        yield
    finally:
        running_task.reset(token)


def current_task_id() -> UUID:
    return running_task.get()


def body_of(name: str) -> Body:
    if name not in bodies:
        raise UnknownTask(f"this worker has no task {name}; is it of another version?")
    return bodies[name]


# --- writing down how it ended ------------------------------------------------------------


def finish(lease: Lease, state: TaskState, *, error: str | None = None) -> None:
    with db.transaction() as session:
        end(session, lease, state, error)


def end(session: Session, lease: Lease, state: TaskState, error: str | None) -> None:
    """Unless it was asked for again meanwhile: then it waits for its next run."""
    ended = update(Task).where(*leases.held(lease))
    row = session.execute(
        ended.values(
            state=case((Task.again, TaskState.WAITING), else_=literal(state, Task.state.type)),
            attempts=case((Task.again, 0), else_=Task.attempts),
            date_finished=case((Task.again, None), else_=NOW),
            sent_at=case((Task.due_at <= NOW, NOW), else_=Task.sent_at),
            error=error,
            lease=None,
        ).returning(Task.parent_id, Task.state, (Task.due_at <= NOW).label("is_due"))
    ).one_or_none()
    if row is None:
        return
    if row.state == TaskState.WAITING:
        ring_after_commit(session, *[lease.task_id] * row.is_due)
    elif row.parent_id is not None:
        wake_parent(session, row.parent_id)


def wake_parent(session: Session, parent_id: UUID) -> None:
    """Whoever ends last wakes the parent: its row is locked first and the children are looked
    at only then, so of two that end at once the second sees the first.
    """
    # By id alone: with its state in the condition, a parent that is just deciding to wait
    # would not be waited for.
    locked = select(Task.state).where(Task.id == parent_id).with_for_update()
    state = session.execute(locked).scalar_one_or_none()
    if state != TaskState.CHILDREN or has_unfinished_children(session, parent_id):
        return
    woken = update(Task).where(Task.id == parent_id)
    session.execute(woken.values(state=TaskState.WAITING, due_at=NOW, sent_at=NOW))
    ring_after_commit(session, parent_id)


def has_unfinished_children(session: Session, parent_id: UUID) -> bool:
    unfinished = select(Task.id).where(Task.parent_id == parent_id, IS_OPEN).limit(1)
    return session.execute(unfinished).first() is not None


def wait_for_children(lease: Lease) -> None:
    with db.transaction() as session:
        put_aside = update(Task).where(*leases.held(lease), ~Task.again)
        session.execute(put_aside.values(state=TaskState.CHILDREN, attempts=0, lease=None))
        # The last child may have ended while we were deciding to wait for it.
        wake_parent(session, lease.task_id)
        # Asked for again while it ran: it looks again before it waits.
        end(session, lease, TaskState.WAITING, None)


def put_back(lease: Lease, *, after_s: float, attempts: int, error: str | None = None) -> None:
    due_at = NOW + timedelta(seconds=after_s)
    waiting = update(Task).where(*leases.held(lease))
    with db.transaction() as session:
        is_due = session.execute(
            waiting.values(
                state=TaskState.WAITING,
                due_at=case((Task.again, func.least(Task.due_at, due_at)), else_=due_at),
                sent_at=NOW,
                attempts=attempts,
                error=error,
                lease=None,
            ).returning(Task.due_at <= NOW)
        ).scalar_one_or_none()
        if is_due:
            ring_after_commit(session, lease.task_id)


def note_failure(lease: Lease, error: BaseException) -> None:
    text = f"{type(error).__name__}: {error}"[:ERROR_TEXT_MAX]
    if lease.attempt >= ATTEMPTS_MAX:
        finish(lease, TaskState.FAILED, error=text)
    else:
        put_back(lease, after_s=pause_s(lease.attempt), attempts=lease.attempt, error=text)


def pause_s(attempt: int) -> float:
    return float(min(2**attempt, PAUSE_MAX_S))


def newest(session: Session, page: Page, *, child_id: UUID | None = None) -> Part[Task]:
    """Of one thing, or of all."""
    found = select(Task) if child_id is None else select(Task).where(Task.child_id == child_id)
    return newest_first(session, found, Task.id, page)
