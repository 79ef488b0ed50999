"""Looks at the database as a server: its version, its schema, its clock, and who is connected."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from changes.app import revision, schema
from changes.app.doctor import looking
from changes.app.doctor.findings import Finding, broken, ok, warning
from changes.app.doctor.looking import NotKnown
from changes.base import bell, clock

VERSION_MIN = 15
CLOCKS_DIFFER_S = 2.0
CLOCKS_DIFFER_MUCH_S = 30.0


def check(connection: Connection) -> list[Finding]:
    return [version(connection), durability(connection), clocks(connection), web(connection)]


def version(connection: Connection) -> Finding:
    number = int(looking.value(connection, "show server_version_num"))
    if number // 10_000 < VERSION_MIN:
        text = f"PostgreSQL is of version {number // 10_000}"
        return broken("database", text, f"Version {VERSION_MIN} or newer is needed.")
    return ok("database", f"PostgreSQL {looking.value(connection, 'show server_version')} answers")


def durability(connection: Connection) -> Finding:
    """Without these a power failure loses what was acknowledged."""
    names = ("fsync", "synchronous_commit", "full_page_writes")
    off = [name for name in names if looking.value(connection, f"show {name}") == "off"]
    if off:
        return warning("durability", f"The database does not wait for its disk: {', '.join(off)} off")
    return ok("durability", "What the database says is stored is on its disk")


def clocks(connection: Connection) -> Finding:
    """As far apart as they are beyond the time that asking took."""
    asked_at = clock.now().timestamp()
    now_s = float(looking.value(connection, "select extract(epoch from clock_timestamp())"))
    answered_at = clock.now().timestamp()
    apart_s = max(asked_at - now_s, now_s - answered_at, 0.0)
    text = f"The clocks of database and this machine differ by {apart_s:.1f} s"
    advice = "Let both be set by NTP. Verdicts do not depend on it, but times that are shown do."
    if apart_s > CLOCKS_DIFFER_MUCH_S:
        return broken("clocks", text, advice)
    if apart_s > CLOCKS_DIFFER_S:
        return warning("clocks", text, advice)
    return ok("clocks", "The clocks of database and this machine agree")


def web(connection: Connection) -> Finding:
    listening = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and application_name = :name"
    )
    count = looking.value(connection, listening, {"name": bell.APPLICATION_NAME})
    if not count:
        return warning("web", "No web server runs on this database", "Start one: `changes web`.")
    return ok("web", f"{count} web server{'s run' if count > 1 else ' runs'}")


def other_revision(connection: Connection) -> Finding | None:
    """None when the tables are those of this version."""
    try:
        found = looking.value(connection, "select version_num from alembic_version")
    except NotKnown:
        found = None
    head = revision.known()[-1]
    if found == head:
        return None
    is_newer = found is not None and found not in revision.known()
    advice = "Start that version, or restore a backup." if is_newer else "Run `changes db upgrade`."
    return broken("schema", f"The schema is {found or 'missing'}, this version needs {head}", advice)


def tables(connection: Connection) -> Finding:
    """Somebody may have changed them by hand, or a restore may have left something out."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    differences = compare_metadata(context, schema.metadata)
    if differences:
        text = f"The tables are not what this version expects, in {len(differences)} places"
        return broken("schema", text, "`changes db check` names them.")
    return ok("schema", "The tables are those of this version")
