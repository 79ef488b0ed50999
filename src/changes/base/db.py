"""The database: one engine per process, one transaction per request, task or command.

Functions below the edge take a session and never commit. `web` may not import SQLAlchemy,
so it takes `Session` and `transaction` from here.
"""

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from enum import IntEnum
from typing import Any, ClassVar, cast
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import (
    DateTime,
    Engine,
    MetaData,
    PoolProxiedConnection,
    SmallInteger,
    Table,
    Text,
    Uuid,
    create_engine,
    insert,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.event import listen
from sqlalchemy.exc import DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import TypeDecorator

from changes.base import clock, ids
from changes.base.cursors import Cursor
from changes.base.slot import Slot

__all__ = [
    "Base",
    "Contradiction",
    "Database",
    "DatabaseAway",
    "DatabaseBusy",
    "Numbered",
    "Session",
    "after_commit",
    "database",
    "transaction",
]

AFTER_COMMIT = "after_commit"
TO_BE_FLUSHED = "to_be_flushed"
# By its commit, all that was committed before is on the disk.
FLUSH = "select pg_logical_emit_message(true, 'changes', 'asked for')"
PREPARED_MAX = 500
COUNTING_CONNECTIONS = 2
OWNER = "database"
# What SQLAlchemy raises when the server cannot be reached.
DatabaseAway = OperationalError
# Every connection of this process has been in use for too long.
DatabaseBusy = PoolTimeout
# A unique or foreign key says no, because somebody else was faster.
Contradiction = IntegrityError


class Numbered(TypeDecorator[IntEnum]):
    """An enum kept as its number, because the numbers are part of the promise to old clients."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, kind: type[IntEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: IntEnum | None, dialect: object) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: object) -> IntEnum | None:
        return None if value is None else self.kind(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        str: Text,
        UUID: Uuid,
        dict[str, Any]: JSONB,
    }


class Identified:
    """Mixed into every table that has an id of its own."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=ids.new)
    date_created: Mapped[datetime] = mapped_column(default=clock.now)


def conninfo_of(url: str) -> str:
    """The same address as psycopg reads it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


async def make_quick(connection: AsyncConnection[Any]) -> None:
    """For statements that are long to plan, short to run and always the same. One that breaks off in
    the middle must not keep its locks.
    """
    await connection.execute("set jit = off")
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute("set idle_in_transaction_session_timeout = '10s'")


def keep_many_statements(connection: psycopg.Connection[Any], _record: object) -> None:
    """Pages and the API ask more than the hundred different questions that are kept otherwise."""
    connection.prepared_max = PREPARED_MAX


def refuse_closed(connection: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
    """The pool makes another one then. A server that went away has closed its end, and an end that is
    closed can be read from; only then is it asked, as that costs a round trip.
    """
    looking = select.poll()
    looking.register(connection.fileno(), select.POLLIN)
    try:
        if looking.poll(0):
            connection.autocommit = True
            connection.execute("")
            connection.autocommit = False
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


class Database:
    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            # The connection used last has its statements prepared and its caches warm.
            pool_use_lifo=True,
            pool_timeout=10,
            connect_args={"application_name": "changes", "connect_timeout": 5, "cursor_factory": Cursor},
        )
        listen(self.engine, "connect", keep_many_statements)
        listen(self.engine, "checkout", refuse_closed)
        # For what is counted at once (see below): few, as each is used for a moment only.
        self.counting = create_engine(
            url,
            pool_size=COUNTING_CONNECTIONS,
            max_overflow=0,
            pool_timeout=10,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "application_name": "changes",
                "connect_timeout": 5,
                "cursor_factory": Cursor,
                "options": "-c synchronous_commit=off -c lock_timeout=5s",
            },
        )
        listen(self.counting, "checkout", refuse_closed)
        self.sessions = sessionmaker(self.engine, expire_on_commit=False, info={OWNER: self})

    def async_pool(self, *, size: int) -> AsyncConnectionPool[Any]:
        """For the few calls that agents make all the time: plain SQL, no threads between."""
        return AsyncConnectionPool(
            self.conninfo,
            min_size=2,
            max_size=size,
            open=False,
            timeout=5,
            kwargs={"autocommit": True},
            configure=make_quick,
        )

    def close(self) -> None:
        """Closes the connections that nobody uses; the next use makes new ones."""
        self.engine.dispose()
        self.counting.dispose()

    @property
    def conninfo(self) -> str:
        return conninfo_of(self.url)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commits at the end, then does what waited for the commit; rolls back on any error."""
        with self.sessions() as session:
            with session.begin():
                yield session
                if session.info.pop(TO_BE_FLUSHED, False):
                    commit_and_flush(session)
            for act in session.info.pop(AFTER_COMMIT, []):
                act()


database: Slot[Database] = Slot("database")


@contextmanager
def transaction() -> Iterator[Session]:
    with database.get().transaction() as session:
        yield session


def insert_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """In bulk and past the ORM, for what nobody needs as objects; nothing when there are none."""
    if rows:
        session.execute(insert(cast("Table", model.__table__)), rows)


def count_at_once(session: Session, counting: str, values: Mapping[str, Any]) -> int:
    """For a number that nobody else may get: committed at once in a transaction of its own, so that nobody
    who wants the next one waits for the end of ours. It need not reach the disk before what we write,
    which comes after it there; and should we fail, a number is left out.

    A row that this transaction has just made is not seen there, and nobody else can count in it.
    """
    owner: Database | None = session.info.get(OWNER)
    if owner is not None:
        with closing(owner.counting.raw_connection()) as connection:
            row = plain(connection).execute(counting.encode(), values).fetchone()
        if row is not None:
            return int(row[0])
    session.flush()
    return int(session.connection().exec_driver_sql(counting, dict(values)).scalar_one())


def do_at_once(session: Session, statement: str, values: Mapping[str, Any]) -> None:
    """For what may stay when we fail, and holds a row that others want: committed in a transaction of its
    own, which sees nothing of what this one has done.
    """
    owner: Database | None = session.info.get(OWNER)
    if owner is None:
        session.flush()
        session.connection().exec_driver_sql(statement, dict(values))
        return
    with owner.counting.connect() as connection:
        connection.exec_driver_sql(statement, dict(values))


def flush_later(session: Session) -> None:
    """After a statement with `set_config('synchronous_commit', 'off', true)`: others see at once what this
    transaction has done, and only whoever asked for it waits until it is on the disk. Right where nobody
    else tells of it before he has flushed it himself, as a hand-out does.
    """
    session.info[TO_BE_FLUSHED] = True


def commit_and_flush(session: Session) -> None:
    """On one way to the database and back. What SQLAlchemy commits afterwards is nothing."""
    session.flush()
    connection = plain(session.connection().connection)
    try:
        with connection.pipeline():
            connection.execute("commit")
            connection.execute(FLUSH)
    except psycopg.OperationalError as error:
        raise DatabaseAway("commit", None, error) from error


def plain(pooled: PoolProxiedConnection) -> psycopg.Connection[Any]:
    """Without what SQLAlchemy does around a statement, which costs more than a small one does."""
    return cast("psycopg.Connection[Any]", pooled.driver_connection)


def after_commit(session: Session, act: Callable[[], None]) -> None:
    """For what must not happen when the transaction fails: ringing a bell, sending a task."""
    session.info.setdefault(AFTER_COMMIT, []).append(act)
