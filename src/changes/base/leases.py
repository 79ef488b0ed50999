"""The lease on a Task row: who works on it, for how long, and the thread that keeps it alive.

A worker that is killed, hangs or is cut off stops renewing, and after LEASE_S another one may
take the row. Only the holder of the latest token can write how a task ended, so one that
comes back from the dead changes nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from changes.base import db, ids
from changes.base.task import NOW, Task, TaskState

LEASE_S = 25
RENEW_EVERY_S = 6
# Long enough ago for the sweep to ring at its next look (sweep.py).
NEVER_RUNG = timedelta(days=1)

log = structlog.get_logger()

IS_RUNNING = Task.state == TaskState.RUNNING
IS_LOST = IS_RUNNING & (Task.lease_until < NOW)


@dataclass(frozen=True)
class Lease:
    task_id: UUID
    token: UUID
    name: str
    child_id: UUID
    attempt: int


def take(task_id: UUID) -> Lease | None:
    """None when it is not due, or somebody else has it."""
    token = ids.new()
    is_due = (Task.state == TaskState.WAITING) & (Task.due_at <= NOW)
    with db.transaction() as session:
        row = session.execute(
            update(Task)
            .where(Task.id == task_id, or_(is_due, IS_LOST))
            .values(
                state=TaskState.RUNNING,
                lease=token,
                lease_until=NOW + timedelta(seconds=LEASE_S),
                attempts=Task.attempts + 1,
                # What was asked for while the lost one ran is still owed.
                again=Task.again & IS_RUNNING,
            )
            .returning(Task.name, Task.child_id, Task.attempts)
        ).one_or_none()
    return None if row is None else Lease(task_id, token, row.name, row.child_id, row.attempts)


def held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (Task.id == lease.task_id, Task.lease == lease.token, IS_RUNNING)


class Keeper(threading.Thread):
    """Renews all leases of this process with one statement and one connection."""

    def __init__(self, *, renew_every_s: float = RENEW_EVERY_S) -> None:
        super().__init__(name="leases", daemon=True)
        self.renew_every_s = renew_every_s
        self.tokens: set[UUID] = set()
        self.starting = threading.Lock()
        self.over = threading.Event()

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        self.tokens.add(lease.token)
        with self.starting:
            if self.ident is None:
                self.start()
        try:
            yield
        finally:
            self.tokens.discard(lease.token)

    def run(self) -> None:
        while not self.over.wait(self.renew_every_s):
            if self.tokens:
                self.renew()

    def renew(self) -> None:
        # Whoever asks for a task while it runs locks its row until he commits. That must not
        # hold up the other leases; a row that is skipped is renewed at the next look.
        free = select(Task.id).where(Task.lease.in_(list(self.tokens)), IS_RUNNING)
        free = free.with_for_update(skip_locked=True)
        longer = update(Task).where(Task.id.in_(free.scalar_subquery()))
        try:
            with db.transaction() as session:
                session.execute(longer.values(lease_until=NOW + timedelta(seconds=LEASE_S)))
        except SQLAlchemyError as error:
            # A database that is away for a moment must not kill this thread; if it stays away
            # the leases run out, which is what leases are for.
            log.warning("leases not renewed", error=str(error).split("\n", 1)[0])

    def hand_back(self) -> None:
        """When the process is about to end: others may take its tasks now, and it is no attempt."""
        mine = update(Task).where(Task.lease.in_(list(self.tokens)), IS_RUNNING)
        with db.transaction() as session:
            session.execute(
                mine.values(
                    state=TaskState.WAITING,
                    attempts=Task.attempts - 1,
                    lease=None,
                    due_at=NOW,
                    sent_at=NOW - NEVER_RUNG,
                )
            )


keeper = Keeper()
