"""The table behind `jobs.py`."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Index, UniqueConstraint, bindparam, func
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base, Identified, Numbered


class TaskState(IntEnum):
    WAITING = 0
    RUNNING = 1
    CHILDREN = 2
    FINISHED = 3
    FAILED = 4


FINAL = (TaskState.FINISHED, TaskState.FAILED)

# Every time in this table is the database's: the clocks of several hosts never agree, and a
# wrong one must not end somebody's lease. Not now(), which stands still in a transaction.
NOW: ColumnElement[datetime] = func.statement_timestamp(type_=DateTime(timezone=True))


class Task(Identified, Base):
    __tablename__ = "task"

    name: Mapped[str]
    # The thing it works on; for periodic work an id made from name and period.
    child_id: Mapped[UUID]
    parent_id: Mapped[UUID | None] = mapped_column(index=True)
    state: Mapped[TaskState] = mapped_column(Numbered(TaskState), default=TaskState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime]
    # When the bell was rung last.
    sent_at: Mapped[datetime]
    # Asked for again while it ran.
    again: Mapped[bool] = mapped_column(default=False, server_default="false")
    lease: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None]
    date_finished: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("name", "child_id"),
        Index("ix_task_open", "due_at", postgresql_where="state < 3"),
        Index("ix_task_failed", "id", postgresql_where="state = 4"),
    )


# With its number in the text, because only then does PostgreSQL see that the index serves it.
IS_OPEN: ColumnElement[bool] = Task.state < bindparam(None, TaskState.FINISHED, literal_execute=True)
