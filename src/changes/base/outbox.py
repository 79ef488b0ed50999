"""Gives what waits in the outbox to those who listen together, as much at once as there is."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from changes.base import db, events, jobs
from changes.base.events import DELIVER, Outbox, Together
from changes.base.task import NOW, Task

AT_ONCE = 500
# What waits so long has been forgotten by the broker.
FORGOTTEN_AFTER_S = 2

log = structlog.get_logger()


def install() -> None:
    """In every process: whoever rings must know that this is work without a row."""
    jobs.standing[DELIVER] = deliver


def deliver() -> None:
    has_more = True
    while has_more:
        has_more = deliver_some() == AT_ONCE


def deliver_some() -> int:
    """In one transaction. Two workers at once take different events."""
    with db.transaction() as session:
        mine = select(Outbox).where(Outbox.is_waiting, Outbox.type.in_(events.together))
        mine = mine.order_by(Outbox.id).limit(AT_ONCE).with_for_update(skip_locked=True)
        rows = session.execute(mine).scalars().all()
        for kind, everybody in events.together.items():
            of_kind = [row for row in rows if row.type == kind]
            for who in everybody if of_kind else ():
                hand_over(session, who, of_kind)
        note_given(session, [row.id for row in rows])
    return len(rows)


def note_given(session: Session, ids: list[UUID]) -> None:
    """What no task will ask for is forgotten at once."""
    if not ids:
        return
    given = update(Outbox).where(Outbox.id.in_(ids)).values(is_waiting=False)
    session.execute(given, execution_options={"synchronize_session": False})
    has_task = select(Task.id).where(Task.child_id == Outbox.id).exists()
    unwanted = delete(Outbox).where(Outbox.id.in_(ids), ~has_task)
    session.execute(unwanted, execution_options={"synchronize_session": False})


def hand_over(session: Session, who: Together, rows: Sequence[Outbox]) -> None:
    """One event that makes him fail must not keep the others from him: then each is a task of its own,
    tried again and shown as failed like any other.
    """
    try:
        with session.begin_nested():
            who.listener(session, [msgspec.convert(row.data, who.kind) for row in rows])
            session.flush()
    except Exception:
        log.exception("events are given one by one", listener=jobs.name_of(who.alone), events=len(rows))
        for row in rows:
            jobs.enqueue(session, who.alone, row.id)


def ring_for_forgotten(session: Session) -> None:
    forgotten = Outbox.date_created < NOW - timedelta(seconds=FORGOTTEN_AFTER_S)
    if session.execute(select(Outbox.id).where(Outbox.is_waiting, forgotten).limit(1)).first():
        jobs.ring_after_commit(session, DELIVER)
