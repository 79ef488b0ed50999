"""Two kinds of events, and the rule for each.

A **domain event** is a frozen dataclass that a verb announces in its own transaction. It is
kept in the outbox together with one task per listener, so it is delivered after commit, at
least once, and a listener that fails is tried again without disturbing the others. What only
keeps our own rows up to date listens `together`: it gets all that waits at once (outbox.py),
which costs a system that is busy much less than a task for each.

An **Event** row is proof of an outward action (a mail, a comment, a status): unique per
type, item and key, so that running a listener twice tells people once.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Index, UniqueConstraint, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from changes.base import clock, db, ids, jobs
from changes.base.db import Base, Identified
from changes.base.task import NOW, Task, TaskState

Announced = TypeVar("Announced")
KEEP_OUTBOX_DAYS = 1

# Rung for what waits in the outbox; no Task row, as it is safe to look once too often.
DELIVER = UUID("0192f0c1-0b0b-7000-8000-6f7574626f78")

listeners: dict[str, list[jobs.Body]] = {}


@dataclass(frozen=True)
class Together:
    """Somebody who takes many events of a kind at once, and the task for one that made him fail."""

    kind: type[Any]
    listener: Callable[[Session, Sequence[Any]], None]
    alone: jobs.Body


together: dict[str, list[Together]] = {}


class Outbox(Identified, Base):
    __tablename__ = "outbox"

    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    # Not yet given to those who listen together.
    is_waiting: Mapped[bool] = mapped_column(default=False, server_default="false")

    __table_args__ = (Index("ix_outbox_waiting", "id", postgresql_where="is_waiting"),)


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

    listeners.setdefault(name_of(kind), []).append(task_of(deliver, listener, kind))


def listen_together(kind: type[Announced], listener: Callable[[Session, Sequence[Announced]], None]) -> None:
    """`listener` gets a session and everything of this kind that waits, in one transaction. It must not
    act outside the database, because a transaction that fails is repeated.
    """

    def deliver(outbox_id: UUID) -> None:
        with db.transaction() as session:
            row = session.get(Outbox, outbox_id)
            if row is not None:
                listener(session, [msgspec.convert(row.data, kind)])

    mine = Together(kind, listener, task_of(deliver, listener, kind))
    together.setdefault(name_of(kind), []).append(mine)


def task_of(deliver: jobs.Body, listener: Callable[..., None], kind: type[Any]) -> jobs.Body:
    deliver.__module__ = listener.__module__
    # One function may listen to several kinds; each is a task of its own.
    deliver.__name__ = f"{listener.__name__} on {kind.__name__}"
    return jobs.task(deliver)


def forget_listeners() -> None:
    listeners.clear()
    together.clear()


def name_of(kind: type[Any]) -> str:
    return f"{kind.__module__.removeprefix('changes.').removesuffix('.events')}.{kind.__name__}"


def announce(session: Session, event: Any) -> None:
    """Stores the event and one task per listener; nothing is delivered before the commit."""
    kind = name_of(type(event))
    interested, is_waiting = listeners.get(kind, []), kind in together
    if not interested and not is_waiting:
        return
    outbox_id = ids.new()
    data = msgspec.to_builtins(dataclasses.asdict(event))
    # Written with the next changes, by the same statement.
    session.add(Outbox(id=outbox_id, type=kind, data=data, is_waiting=is_waiting))
    for listener in interested:
        jobs.enqueue(session, listener, outbox_id)
    if is_waiting:
        jobs.ring_after_commit(session, DELIVER)


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


def first_times(session: Session, kind: str, keys: Mapping[UUID, str]) -> list[UUID]:
    """Of several items at once: those for which this caller is the one who may act."""
    if not keys:
        return []
    now = clock.now()
    new = [
        {"id": ids.new(), "type": kind, "item_id": item_id, "key": key, "data": {}}
        | {"date_created": now, "date_modified": now}
        # In one order, so that two who do this do not wait in a circle.
        for item_id, key in sorted(keys.items())
    ]
    inserted = insert(Event).values(new).on_conflict_do_nothing().returning(Event.item_id)
    return list(session.execute(inserted).scalars())


def clean(session: Session) -> int:
    """Forgets events that all listeners have got; one that failed may be run again by hand."""
    before = NOW - timedelta(days=KEEP_OUTBOX_DAYS)
    still_wanted = select(Task.id).where(Task.child_id == Outbox.id, Task.state != TaskState.FINISHED)
    old = delete(Outbox).where(Outbox.date_created < before, ~Outbox.is_waiting, ~still_wanted.exists())
    return len(session.execute(old.returning(Outbox.id)).all())
