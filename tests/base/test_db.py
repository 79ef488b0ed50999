from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from changes.base import db
from changes.people import tokens, users
from changes.people.models import Token, User
from changes.people.rules import Scope


def emails(database: db.Database) -> list[str]:
    with database.transaction() as session:
        return [user.email for user in session.query(User)]


def test_a_transaction_is_committed_at_its_end(database: db.Database) -> None:
    with database.transaction() as session:
        users.create(session, "olga@example.com")
        assert emails(database) == []

    assert emails(database) == ["olga@example.com"]


def in_one_transaction(database: db.Database, *acts: Callable[[db.Session], object]) -> None:
    with database.transaction() as session:
        for act in acts:
            act(session)


def make_olga(session: db.Session) -> None:
    session.add(User(email="olga@example.com"))


def stumble(_session: db.Session) -> None:
    raise ZeroDivisionError


def test_an_error_undoes_the_transaction(database: db.Database) -> None:
    with pytest.raises(ZeroDivisionError):
        in_one_transaction(database, make_olga, stumble)

    assert emails(database) == []


def test_what_waits_for_the_commit_happens_after_it_and_in_order(database: db.Database) -> None:
    happened: list[object] = []
    with database.transaction() as session:
        users.create(session, "olga@example.com")
        db.after_commit(session, lambda: happened.append(emails(database)))
        db.after_commit(session, lambda: happened.append("second"))
        assert happened == []

    assert happened == [["olga@example.com"], "second"]


@pytest.mark.parametrize(
    ("acts", "error"), [((stumble,), ZeroDivisionError), ((make_olga, make_olga), IntegrityError)]
)
def test_what_waits_for_a_commit_that_fails_does_not_happen(
    database: db.Database, acts: tuple[Callable[[db.Session], object], ...], error: type[Exception]
) -> None:
    happened: list[int] = []

    with pytest.raises(error):
        in_one_transaction(database, lambda s: db.after_commit(s, lambda: happened.append(1)), *acts)

    assert happened == []


def test_the_process_has_one_database(database: db.Database) -> None:
    with db.transaction() as session:
        assert session.get_bind() is database.engine


def test_enums_are_kept_as_their_numbers(session: Session) -> None:
    made = tokens.create(session, "t", Scope.ADMIN)

    number = session.execute(text("select scope from token")).scalar_one()

    session.expire_all()
    assert number == 3
    assert session.get_one(Token, made.id).scope is Scope.ADMIN


def test_points_in_time_come_back_with_their_zone(session: Session) -> None:
    made = tokens.create(session, "t", Scope.READ)
    before = session.get_one(Token, made.id).date_created

    session.expire_all()

    after = session.get_one(Token, made.id).date_created
    assert after == before
    assert after.utcoffset() is not None


def test_plain_connections_find_the_same_database(database: db.Database) -> None:
    assert database.conninfo.startswith("postgresql://")
    assert database.url.startswith("postgresql+psycopg://")


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(database: db.Database) -> None:
    with database.transaction() as session:
        closed = session.execute(text("select pg_backend_pid()")).scalar_one()
    with psycopg.connect(database.conninfo, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", [closed])

    with database.transaction() as session:
        assert session.execute(text("select pg_backend_pid()")).scalar_one() != closed
