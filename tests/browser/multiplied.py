"""More builds than the demo writes in a second: the same ones again, copied inside the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

# Each table with the columns that refer to a table before it.
TABLES = {
    "build": {},
    "job": {"build_id": "build"},
    "job_phase": {"job_id": "job"},
    "job_step": {"job_id": "job", "phase_id": "job_phase"},
}
# Older than the demo's month, so that the lists begin with what is complete.
NEW_ID = "uuidv7(row.date_created - now() - make_interval(days => 40 * (1 + copy)))"
NUMBERS_APART = 100_000
INDEXES = """
    select indexname, indexdef from pg_indexes
    where tablename = any(:tables) and indexname not in (select conname from pg_constraint)
"""


def multiply_builds(session: Session, *, times: int) -> None:
    """Only what has ended, and what is whole: a part goes with the first thing it refers to. So the
    database need not look whether what each row refers to is there.
    """
    session.execute(text("set local session_replication_role = replica"))
    with without_indexes(session):
        copy_all(session, times)
    session.execute(text("analyze"))


@contextmanager
def without_indexes(session: Session) -> Iterator[None]:
    """To make one of all rows takes a fraction of what it takes to put each row into it."""
    indexes = session.execute(text(INDEXES), {"tables": list(TABLES)}).all()
    for index in indexes:
        session.execute(text(f'drop index "{index.indexname}"'))
    yield
    for index in indexes:
        session.execute(text(index.indexdef))


def copy_all(session: Session, times: int) -> None:
    for table, references in TABLES.items():
        whose = next(iter(references.items()), None)
        copies = (
            f"generate_series(1, {times - 1}) copies(copy) on true"
            if whose is None
            else f"new_{whose[1]} copies on copies.old_id = row.{whose[0]}"
        )
        session.execute(
            text(
                f"create temporary table new_{table} on commit drop as"
                f" select row.id as old_id, copy, {NEW_ID} as id"
                f" from {table} row join {copies} where row.status = 3"
            )
        )
        session.execute(text(f"create index on new_{table} (old_id, copy)"))
        session.execute(text(f"analyze new_{table}"))
        session.execute(text(copying(session, table, references)))


def copying(session: Session, table: str, references: dict[str, str]) -> str:
    """One insert: every column as it is, but for the ids and what must be unique."""
    columns = session.execute(
        text("select column_name from information_schema.columns where table_name = :table"), {"table": table}
    ).scalars()
    changed = {"id": "new.id", "replacement_id": "null", "tally": "null"}
    changed |= {column: f"new_{other}.id" for column, other in references.items()}
    if table == "build":
        changed["number"] = f"row.number + {NUMBERS_APART} * new.copy"
    values = {column: changed.get(column, f'row."{column}"') for column in columns}
    joins = "".join(
        f" join new_{other} on new_{other}.old_id = row.{column} and new_{other}.copy = new.copy"
        for column, other in references.items()
    )
    names = ", ".join(f'"{column}"' for column in values)
    return (
        f"insert into {table} ({names}) select {', '.join(values.values())}"
        f" from {table} row join new_{table} new on new.old_id = row.id{joins}"
    )
