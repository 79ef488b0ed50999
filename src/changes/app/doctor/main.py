"""Examines a live system: this machine, its services, and the rows that must agree with each other."""

import os
from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from changes.app.doctor import database, host, looking, mending, rows, work
from changes.app.doctor.findings import Finding, broken, warning
from changes.app.doctor.looking import NotKnown
from changes.app.embedding import with_embedded
from changes.base import settings as settings_of
from changes.base.db import Database
from changes.base.settings import Loaded, Settings
from changes.base.storage import Storage

Look = Callable[[], Sequence[Finding]]


def examine(loaded: Loaded) -> list[Finding]:
    given = loaded.settings
    if given.database_url is None and not given.home.exists():
        advice = "Set CHANGES_HOME to the folder of `changes up`, or DATABASE_URL."
        return [broken("home", f"There is no system in {given.home}", advice)]
    current = with_embedded(loaded.settings)
    found = [
        host.check_settings(current, loaded.warnings),
        host.check_home(current.home),
        host.check_broker(current),
    ]
    try:
        storage = Storage(current.blob_url)
    except OSError as error:
        return [
            *found,
            broken("blobs", f"The store of files cannot be opened: {error}"),
            *of_rows(current, None),
        ]
    return [
        *found,
        host.check_disk(current, storage),
        host.check_blobs(storage),
        *of_rows(current, storage),
    ]


def of_rows(current: Settings, storage: Storage | None) -> list[Finding]:
    url = current.database_url
    if url is None:
        return [broken("database", "No database is set", "Set DATABASE_URL, or start `changes up`.")]
    try:
        with looking.snapshot(url) as connection:
            return in_snapshot(connection, current, storage)
    except OperationalError as error:
        first = str(error.orig).strip().split("\n", 1)[0]
        advice = "Does it run, and may this account connect? `changes up` runs the embedded one."
        return [broken("database", f"The database cannot be asked: {first}", advice)]


def in_snapshot(connection: Connection, current: Settings, storage: Storage | None) -> list[Finding]:
    found = patiently("database", lambda: database.check(connection))
    other = database.other_revision(connection)
    if other is not None:
        # The tables are not those that are asked about below.
        return [*found, other]
    found += patiently("schema", lambda: [database.tables(connection)])
    found += patiently("work", lambda: work.check(connection, current))
    found += patiently("tools", lambda: [host.check_tools(connection)])
    if storage is not None:
        found += patiently("artifacts", lambda: [host.check_artifacts(connection, storage)])
        found += patiently("packed-logs", lambda: [host.check_logs(connection, storage)])
    return found + rows.check(connection, current)


def patiently(name: str, look: Look) -> list[Finding]:
    try:
        return list(look())
    except NotKnown as error:
        return [warning(name, f"Not known: {error}", rows.LATER)]


def load() -> Loaded:
    return settings_of.read(os.environ)


def mend(current: Settings, findings: Sequence[Finding]) -> int:
    """Counts anew what can be; how many builds that was."""
    wrong = [name for finding in findings if finding.can_be_mended for name in finding.examples]
    known = Database(with_embedded(current).database_url or "", pool_size=2)
    try:
        return mending.mend(known, wrong)
    finally:
        known.close()
