"""Tasks to test with, and how to look at their rows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from changes.base import db, ids, jobs
from changes.base.jobs import Body
from changes.base.task import NOW, Task


def a_task(name: str, act: Callable[[], object] | None = None) -> Body:
    """A registered task; `act` is what it does, nothing if not given."""

    def body(child_id: UUID) -> None:
        if act is not None:
            act()

    body.__name__ = name
    return jobs.task(body)


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def asked(body: Body, child_id: UUID | None = None, **how: Any) -> UUID:
    """As a request would: in a transaction of its own."""
    with db.transaction() as session:
        return jobs.enqueue(session, body, child_id or ids.new(), **how)


def row(task_id: UUID) -> Task:
    with db.transaction() as session:
        found = select(Task).where(Task.id == task_id).execution_options(populate_existing=True)
        task = session.execute(found).scalar_one()
        session.expunge(task)
    return task


def set_row(task_id: UUID, **values: Any) -> None:
    with db.transaction() as session:
        session.execute(update(Task).where(Task.id == task_id).values(**values))


def ago(seconds: float) -> Any:
    """By the database's clock, as everything in the table."""
    return NOW - timedelta(seconds=seconds)


def is_due(task_id: UUID) -> bool:
    with db.transaction() as session:
        return session.execute(select(Task.due_at <= NOW).where(Task.id == task_id)).scalar_one()
