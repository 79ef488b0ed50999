"""Looks at a live database without disturbing it: one snapshot, read only, and never for long.

All that is seen is of one moment, so work that goes on meanwhile is no contradiction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

CONNECT_WITHIN_S = 5
STATEMENT_WITHIN_S = 20
LOCK_WITHIN_S = 2


class NotKnown(Exception):
    """The question has no answer: it took too long, or the tables are not what they should be."""


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    arguments = {"application_name": "changes doctor", "connect_timeout": CONNECT_WITHIN_S}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        connection.execute(text(f"set local statement_timeout = '{STATEMENT_WITHIN_S}s'"))
        connection.execute(text(f"set local lock_timeout = '{LOCK_WITHIN_S}s'"))
        yield connection


def rows(connection: Connection, question: str, values: dict[str, Any] | None = None) -> Sequence[Any]:
    """In a savepoint: what is asked next is asked of the same snapshot, whatever became of this."""
    try:
        with connection.begin_nested():
            return connection.execute(text(question), values or {}).all()
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            raise NotKnown(f"looking took longer than {STATEMENT_WITHIN_S} s") from error
        raise
    except ProgrammingError as error:
        raise NotKnown(str(error.orig).split("\n", 1)[0]) from error


def names(connection: Connection, question: str, values: dict[str, Any] | None = None) -> list[str]:
    return [str(row[0]) for row in rows(connection, question, values)]


def value(connection: Connection, question: str, values: dict[str, Any] | None = None) -> Any:
    found = rows(connection, question, values)
    return found[0][0] if found else None
