"""`changes db`: brings a database to the schema of this version, checks it, or starts it anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from changes.app import revision, schema
from changes.base.errors import Conflict, Unavailable
from changes.results import partitions

LOCK_TIMEOUT = "5s"


class SchemaDiffers(Conflict):
    """The database is not what this version expects."""


class TablesInUse(Unavailable):
    """Somebody holds a table for longer than a migration may wait for it."""


def configuration(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revision.MIGRATIONS))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    revision.refuse_newer(revision.current(url))
    with tables_free():
        command.upgrade(configuration(url), "head")
    with connected(url) as connection, Session(connection) as session:
        partitions.make_ahead(session)


@contextmanager
def tables_free() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise TablesInUse(
                f"Nothing was changed: a table was in use for longer than {LOCK_TIMEOUT}."
                " Try again, or stop the servers first."
            ) from error
        raise


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        yield connection


def check(url: str) -> None:
    """Raises SchemaDiffers with what is different, in words."""
    head, current = revision.known()[-1], revision.current(url)
    if current != head:
        raise SchemaDiffers(
            f"The database has schema {current or 'none'}, this version needs {head}: changes db upgrade"
        )
    with connected(url) as connection:
        compared = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=compared)
        differences = compare_metadata(context, schema.metadata)
    if differences:
        raise SchemaDiffers(
            "The database differs from the models: " + "; ".join(str(each) for each in differences)
        )


def reset(url: str) -> None:
    """Deletes everything. Who calls it has asked whether that is meant."""
    with tables_free(), connected(url) as connection:
        connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    upgrade(url)
