"""Which schema a database has and which one this version needs, asked without Alembic, whose
import takes a third of a second.
"""

import time
from pathlib import Path

import psycopg
import structlog
from psycopg.errors import UndefinedTable

from changes.base import db
from changes.base.errors import Conflict

MIGRATIONS = Path(__file__).parent / "migrations"
LOOK_EVERY_S = 0.02
TELL_EVERY_S = 30
# Somebody who starts everything at once need not read of what is normal then.
TELL_AFTER_S = 5
CONNECT_WITHIN_S = 5

log = structlog.get_logger()


class SchemaTooNew(Conflict):
    """The database was used by a newer version of Changes."""


def known() -> list[str]:
    """Oldest first: a migration's file begins with its revision."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(url: str) -> str | None:
    """None is a database without our tables. Raises psycopg's OperationalError when it is away."""
    with psycopg.connect(db.conninfo_of(url), connect_timeout=CONNECT_WITHIN_S) as connection:
        try:
            found = connection.execute("select version_num from alembic_version").fetchone()
        except UndefinedTable:
            return None
    return str(found[0]) if found else None


def refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in known():
        raise SchemaTooNew(
            f"The database is of a newer version (schema {revision}):"
            " start that version, or restore a backup."
        )


def is_current(url: str) -> bool:
    revision = current(url)
    refuse_newer(revision)
    return revision == known()[-1]


def wait_until_current(url: str) -> None:
    """A server that is started beside `changes db upgrade`, or before the database, waits for them."""
    tell_at = time.monotonic() + TELL_AFTER_S
    while True:
        try:
            if is_current(url):
                return
            why = "it waits for `changes db upgrade`"
        except psycopg.OperationalError as error:
            why = str(error).strip().split("\n", 1)[0]
        if time.monotonic() > tell_at:
            log.warning("waiting for the database", why=why)
            tell_at = time.monotonic() + TELL_EVERY_S
        time.sleep(LOOK_EVERY_S)
