"""What is foreseen travels with the first question, and rows become the objects that a session would load."""

from typing import Any

import pytest
from sqlalchemy import inspect, select, text

from changes.base import clock, db, ids, questions
from changes.base.db import Database, Session
from changes.base.events import Event
from changes.base.questions import Question

COUNT = "select count(*) from event where key = %(key)s"
OF_KEY = "select {names} from event where key = %(key)s"


def stored(session: Session, key: str, **said: Any) -> Event:
    made = Event(id=ids.new(), type="mail", item_id=ids.new(), key=key, **said)
    session.add(made)
    session.flush()
    return made


def read(session: Session, key: str) -> tuple[Any, ...]:
    [row] = questions.ask(session, OF_KEY.format(names=questions.names(Event)), {"key": key})
    return tuple(row)


def test_what_was_foreseen_is_answered_as_it_was_at_the_first_question(session: Session) -> None:
    stored(session, "one")
    questions.foresee(session, Question(COUNT, {"key": "one"}))
    first = questions.ask(session, "select %(n)s::int", {"n": 1})
    stored(session, "one")

    foreseen = questions.ask(session, COUNT, {"key": "one"})

    assert [tuple(row) for row in first] == [(1,)]
    assert [tuple(row) for row in foreseen] == [(1,)]


def test_an_answer_that_was_foreseen_is_given_once(session: Session) -> None:
    questions.foresee(session, Question(COUNT, {"key": "one"}))
    questions.ask(session, "select 1", {})
    questions.ask(session, COUNT, {"key": "one"})
    stored(session, "one")

    again = questions.ask(session, COUNT, {"key": "one"})

    assert [tuple(row) for row in again] == [(1,)]


def test_with_other_values_it_is_another_question(session: Session) -> None:
    stored(session, "two")
    questions.foresee(session, Question(COUNT, {"key": "one"}))
    questions.ask(session, "select 1", {})

    other = questions.ask(session, COUNT, {"key": "two"})

    assert [tuple(row) for row in other] == [(1,)]


def test_a_lost_connection_is_told_as_everywhere_else(database: Database) -> None:
    def ask_after_the_line_was_cut() -> None:
        with database.transaction() as session:
            [[own]] = questions.ask(session, "select pg_backend_pid()", {})
            with database.engine.connect() as other:
                other.execute(text("select pg_terminate_backend(:own, 5000)"), {"own": own})
            questions.ask_together(session, [Question("select 1", {}), Question("select 2", {})])

    with pytest.raises(db.DatabaseAway):
        ask_after_the_line_was_cut()

    with database.transaction() as session:
        assert questions.ask(session, "select 1", {})[0][0] == 1


def test_a_row_becomes_the_object_that_the_session_would_load(session: Session) -> None:
    made = stored(session, "one", data={"to": ["Ann", None]})
    session.expunge(made)

    [seen] = questions.objects(session, read(session, "one"), Event)

    assert (seen.id, seen.data, seen.date_created) == (made.id, made.data, made.date_created)
    assert inspect(seen).persistent
    assert session.get_one(Event, made.id) is seen
    seen.key = "two"
    session.flush()
    assert session.execute(select(Event.key).where(Event.id == made.id)).scalar_one() == "two"


def test_what_the_session_has_stays_as_it_is(session: Session) -> None:
    made = stored(session, "one")
    row = read(session, "one")
    made.key = "changed here"

    [seen] = questions.objects(session, row, Event)

    assert seen is made
    assert seen.key == "changed here"


def test_a_row_that_was_locked_is_newer_than_what_the_session_has(session: Session) -> None:
    made = stored(session, "one")
    session.connection().exec_driver_sql("update event set type = 'chat' where key = 'one'")

    [seen] = questions.objects(session, read(session, "one"), Event, is_fresh=True)

    assert seen is made
    assert seen.type == "chat"
    assert not session.dirty


def test_what_an_outer_join_did_not_find_is_nothing(session: Session) -> None:
    nothing = [None] * questions.width(Event)

    assert questions.objects(session, nothing, Event) == [None]


def test_what_is_flushed_later_is_on_the_disk_when_the_transaction_is_over(database: Database) -> None:
    with database.transaction() as session:
        # As everywhere but in tests.
        session.connection().exec_driver_sql("set synchronous_commit = on")
    with database.transaction() as session:
        session.connection().exec_driver_sql("select set_config('synchronous_commit', 'off', true)")
        db.flush_later(session)
        stored(session, f"at {clock.now()}")
        wrote_to = "select pg_current_wal_insert_lsn()::text"
        until = session.connection().exec_driver_sql(wrote_to).scalar_one()

    with database.transaction() as session:
        flushed = "select pg_current_wal_flush_lsn() > %(until)s::pg_lsn"
        assert questions.ask(session, flushed, {"until": until})[0][0]
        assert session.execute(select(Event.key)).scalar_one().startswith("at ")


def test_what_was_to_be_flushed_and_failed_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            db.flush_later(session)
            stored(session, "one")
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()

    with database.transaction() as session:
        assert session.execute(select(Event.key)).all() == []
