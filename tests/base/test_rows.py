"""Several rows by one statement mean the same as SQLAlchemy's many."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, inspect, select
from sqlalchemy.orm.exc import StaleDataError

from changes.base import clock, ids, rows
from changes.base.db import Database, Session
from changes.base.events import Event, Outbox

AN_HOUR = timedelta(hours=1)


def an_event(key: str, **said: Any) -> Event:
    return Event(id=ids.new(), type="mail", item_id=ids.new(), key=key, **said)


def stored(session: Session, event_id: UUID) -> Event:
    return session.execute(
        select(Event).where(Event.id == event_id).execution_options(populate_existing=True)
    ).scalar_one()


def statements(session: Session) -> list[str]:
    told: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *given: told.append(given[2]))
    return told


def test_changes_of_several_rows_are_written_by_one_statement(session: Session) -> None:
    one, other = an_event("one"), an_event("other")
    session.add_all([one, other])
    session.flush()
    told = statements(session)
    one.data, other.key = {"to": ["Ann", None], "größe": 1.5}, "%s \\ 'quoted'"

    rows.write_changes(session)

    assert len(told) == 1
    assert not session.dirty
    assert stored(session, one.id).data == {"to": ["Ann", None], "größe": 1.5}
    assert stored(session, other.id).key == "%s \\ 'quoted'"


def test_what_is_noted_at_each_change_is_noted_here_too(session: Session) -> None:
    changed = an_event("one", date_modified=clock.now() - AN_HOUR)
    session.add(changed)
    session.flush()
    before = changed.date_modified
    changed.key = "two"

    rows.write_changes(session)

    assert changed.date_modified > before + AN_HOUR / 2
    assert stored(session, changed.id).date_modified == changed.date_modified


def test_a_value_set_to_what_it_was_is_no_change(session: Session) -> None:
    same = an_event("one")
    session.add(same)
    session.flush()
    told = statements(session)
    same.key = "two"
    same.key = "one"

    rows.write_changes(session)

    assert told == []


def test_what_the_database_is_to_work_out_is_written_as_well(session: Session) -> None:
    changed = an_event("one")
    session.add(changed)
    session.flush()
    changed.key = func.upper("two")

    rows.write_changes(session)

    assert stored(session, changed.id).key == "TWO"


def test_a_row_that_is_gone_is_not_changed_in_silence(database: Database) -> None:
    changed = an_event("one")
    with database.transaction() as session:
        session.add(changed)
    with database.transaction() as session:
        mine = session.get_one(Event, changed.id)
        with database.transaction() as other:
            other.delete(other.get_one(Event, changed.id))
        mine.key = "two"

        with pytest.raises(StaleDataError):
            rows.write_changes(session)
        session.expunge(mine)


def test_new_objects_and_rows_of_other_tables_are_written_together(session: Session) -> None:
    new, told = an_event("one", data={"a": [1]}), statements(session)
    session.add(new)
    behind = {"id": ids.new(), "type": "kind", "data": {"b": None}, "is_waiting": True}

    rows.insert_with_new(session, (Outbox, [behind]))

    assert len(told) == 1
    assert stored(session, new.id).data == {"a": [1]}
    row = session.get_one(Outbox, behind["id"])
    assert (row.type, row.data, row.is_waiting) == ("kind", {"b": None}, True)


def test_a_new_object_is_as_after_a_flush(session: Session) -> None:
    new = an_event("one")
    session.add(new)

    rows.insert_with_new(session)
    new.key = "two"
    session.flush()

    assert inspect(new).persistent
    assert new.date_created is not None
    assert stored(session, new.id).key == "two"


def test_a_new_object_with_something_to_work_out_is_flushed(session: Session) -> None:
    new = an_event("one")
    new.date_modified = func.now()
    session.add(new)

    rows.insert_with_new(session)

    assert stored(session, new.id).date_modified is not None


def test_what_is_done_beside_a_row_gives_it_a_column_and_is_told(session: Session) -> None:
    said = {"type": "kind", "item_id": ids.new()}
    beside = rows.Beside(
        Event,
        "called as (select %s::text as name)",
        ["it"],
        {"key": "(select name from called)"},
        "(select upper(name) from called)",
    )

    told = rows.insert(session, (Event, [said]), besides=[beside])

    assert told == {Event: "IT"}
    assert session.execute(select(Event.key)).scalars().all() == ["it"]


def test_what_belongs_beside_a_table_without_rows_is_not_done(session: Session) -> None:
    beside = rows.Beside(Outbox, "called as (select 1 / 0)", [], {}, "1")

    assert (
        rows.insert(session, (Event, [{"type": "kind", "item_id": ids.new(), "key": ""}]), besides=[beside])
        == {}
    )


def test_each_row_gets_what_nobody_has_said(session: Session) -> None:
    said: list[dict[str, Any]] = [
        {"type": "mail", "item_id": ids.new(), "key": f"row {number}"} for number in range(3)
    ]

    rows.insert(session, (Event, said), (Outbox, []))

    found = session.execute(select(Event).order_by(Event.key)).scalars().all()
    assert [row.key for row in found] == ["row 0", "row 1", "row 2"]
    assert len({row.id for row in found}) == 3
    assert all(row.data == {} for row in found)
