"""Two kinds of events, and the rule for each.

A **domain event** is a frozen dataclass that a verb announces in its own transaction. It is
kept in the outbox together with one task per listener, so it is delivered after commit, at
least once, and a listener that fails is tried again without disturbing the others.

An **Event** row is proof of an outward action (a mail, a comment, a status): unique per
type, item and key, so that running a listener twice tells people once.
"""

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import UniqueConstraint, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from changes.base import clock, db, ids, jobs
from changes.base.db import Base, Identified
from changes.base.task import NOW, Task, TaskState

Announced = TypeVar("Announced")
KEEP_OUTBOX_DAYS = 1

listeners: dict[str, list[jobs.Body]] = {}


class Outbox(Identified, Base):
    __tablename__ = "outbox"

    type: Mapped[str]
    data: Mapped[dict[str, Any]]


class Event(Identified, Base):
    __tablename__ = "event"

    type: Mapped[str]
    item_id: Mapped[UUID] = mapped_column(index=True)
    key: Mapped[str] = mapped_column(default="", server_default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    __table_args__ = (UniqueConstraint("type", "item_id", "key"),)


def listen(kind: type[Announced], listener: Callable[[Announced], None]) -> None:
    """Makes `listener` a task that is run for every announced event of this kind."""

    def deliver(outbox_id: UUID) -> None:
        with db.transaction() as session:
            row = session.get(Outbox, outbox_id)
        if row is not None:
            listener(msgspec.convert(row.data, kind))

    deliver.__module__ = listener.__module__
    # One function may listen to several kinds; each is a task of its own.
    deliver.__name__ = f"{listener.__name__} on {kind.__name__}"
    listeners.setdefault(name_of(kind), []).append(jobs.task(deliver))


def name_of(kind: type[Any]) -> str:
    return f"{kind.__module__.removeprefix('changes.').removesuffix('.events')}.{kind.__name__}"


def announce(session: Session, event: Any) -> None:
    """Stores the event and one task per listener; nothing is delivered before the commit."""
    kind = name_of(type(event))
    interested = listeners.get(kind, [])
    if not interested:
        return
    outbox_id = ids.new()
    session.add(Outbox(id=outbox_id, type=kind, data=msgspec.to_builtins(dataclasses.asdict(event))))
    session.flush()
    for listener in interested:
        jobs.enqueue(session, listener, outbox_id)


def first_time(
    session: Session, kind: str, item_id: UUID, key: str = "", data: dict[str, Any] | None = None
) -> bool:
    """True for exactly one caller per (type, item, key): the one who may act."""
    row = insert(Event).values(
        id=ids.new(),
        type=kind,
        item_id=item_id,
        key=key,
        data=data or {},
        date_created=clock.now(),
        date_modified=clock.now(),
    )
    return session.execute(row.on_conflict_do_nothing().returning(Event.id)).first() is not None


def clean(session: Session) -> int:
    """Forgets events that all listeners have got; one that failed may be run again by hand."""
    before = NOW - timedelta(days=KEEP_OUTBOX_DAYS)
    still_wanted = select(Task.id).where(Task.child_id == Outbox.id, Task.state != TaskState.FINISHED)
    old = delete(Outbox).where(Outbox.date_created < before, ~still_wanted.exists())
    return len(session.execute(old.returning(Outbox.id)).all())
