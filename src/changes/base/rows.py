"""Several rows by one statement, for the few paths that every build takes.

There the work of SQLAlchemy for one statement costs more than that of the database. What is said here
goes through the same connection and means the same, only in fewer words.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Dialect, inspect
from sqlalchemy.orm import Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.sql import ClauseElement

from changes.base import bell
from changes.base.db import Base, Identified

# With more than these one statement for each table is better.
TOGETHER_MAX = 12
INSERT = (
    "insert into {table} ({names}) select {values} from json_populate_recordset(null::{table}, %s) {join}"
)
UPDATE = "update {table} set {changes} where id = %s returning id"
COUNT = "(select count(*) from part_{number})"

Rows: TypeAlias = tuple[type[Base], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Column:
    name: str
    quoted: str
    # From a value of ours to one of the database.
    convert: Callable[[Any], Any] | None
    # What SQLAlchemy puts in when nobody says anything: for a new row, and for a changed one.
    first: Callable[[], Any] | None
    later: Callable[[], Any] | None
    # And otherwise nothing: the database does not put in anything either.
    may_be_null: bool


@functools.lru_cache(maxsize=256)
def columns_of(mapper: Mapper[Any], dialect: Dialect) -> Mapping[str, Column]:
    """By the names of their attributes."""
    found = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        found[attribute.key] = Column(
            name=column.name,
            quoted=dialect.identifier_preparer.quote(column.name),
            convert=column.type.dialect_impl(dialect).bind_processor(dialect),
            first=made_by(column.default),
            later=made_by(column.onupdate),
            may_be_null=bool(column.nullable) and column.server_default is None,
        )
    return found


def made_by(default: Any) -> Callable[[], Any] | None:
    if default is None:
        return None
    if default.is_callable:
        return functools.partial(default.arg, None)
    return lambda: default.arg


# --- new rows ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """What a statement does beside inserting rows of this table: parts that come before, further columns
    whose values they know, and what is selected at the end.
    """

    model: type[Base]
    first: str
    first_values: Sequence[object]
    columns: Mapping[str, str]
    last: str
    join: str = ""


def insert(
    session: Session, *tables: Rows, topics: Sequence[str] = (), besides: Sequence[Beside] = ()
) -> dict[type[Base], Any]:
    """Rows of several tables; in any order, as the database looks at references when all are there. The
    rows of one table say the same columns. They travel as JSON, one value for each table. Returns what was
    selected last beside the rows of a table; what belongs to a table without rows is left out.
    """
    written = {model for model, rows in tables if rows}
    done = [each for each in besides if each.model in written]
    parts, inserted = insertions(session, tables, done)
    ringing, told = bell.ringing(topics)
    calls = [*(each.last for each in done), *ringing]
    if calls:
        parts.append(f"select {', '.join(calls)}")
    if not parts:
        return {}
    values = [value for each in done for value in each.first_values]
    asked = joined(parts, [each.first for each in done])
    found = session.connection().exec_driver_sql(asked, (*values, *inserted, *told))
    return dict(zip((each.model for each in done), found.one(), strict=False)) if done else {}


def insertions(
    session: Session, tables: Sequence[Rows], besides: Sequence[Beside] = ()
) -> tuple[list[str], list[str]]:
    dialect = session.get_bind().dialect
    parts, values = [], []
    for model, rows in tables:
        if rows:
            columns = columns_of(inspect(model), dialect)
            more = next((each for each in besides if each.model is model), None)
            given = more.columns if more else ()
            said = {
                key: column
                for key, column in columns.items()
                if key in rows[0] or (column.first is not None and column.name not in given)
            }
            names = tuple(column.quoted for column in said.values())
            parts.append(inserting(model.__tablename__, names, more))
            values.append(as_json([of_row(said, row) for row in rows]))
    return parts, values


def as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def of_row(columns: Mapping[str, Column], row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column.name: row[key] if key in row or column.first is None else column.first()
        for key, column in columns.items()
    }


def inserting(table: str, names: tuple[str, ...], beside: Beside | None) -> str:
    inserted, values = [*names], [*names]
    if beside:
        inserted += beside.columns
        values += beside.columns.values()
    join = beside.join if beside else ""
    return INSERT.format(table=table, names=", ".join(inserted), values=", ".join(values), join=join)


def joined(parts: Sequence[str], first: Sequence[str] = ()) -> str:
    """The last one is the statement, the others are done with it."""
    before = [*first, *(f"part_{number} as ({part})" for number, part in enumerate(parts[:-1]))]
    return f"with {', '.join(before)} {parts[-1]}" if before else parts[-1]


def insert_with_new(
    session: Session, *tables: Rows, topics: Sequence[str] = (), besides: Sequence[Beside] = ()
) -> dict[type[Base], Any]:
    """These rows behind the new objects of the session, which are then as after a flush. One that only a
    flush can write is written by it, without what is done beside others of its table.
    """
    new = sorted(session.new, key=place_of)
    mine = rows_of_new(session, new)
    if session.dirty or session.deleted or mine is None:
        session.flush()
        return insert(session, *tables, topics=topics, besides=besides)
    found = insert(session, *mine, *tables, topics=topics, besides=besides)
    note_written(session, new)
    return found


def place_of(row: Any) -> tuple[str, str]:
    return row.__tablename__, str(getattr(row, "id", ""))


def rows_of_new(session: Session, new: Sequence[Any]) -> list[Rows] | None:
    """None for what only a flush can write."""
    dialect = session.get_bind().dialect
    mine = [row_of_new(each, columns_of(inspect(each).mapper, dialect)) for each in new]
    if len(new) > TOGETHER_MAX or not all(mine):
        return None
    return [(type(each), [row]) for each, row in zip(new, mine, strict=True)]


def note_written(session: Session, new: Sequence[Any]) -> None:
    for each in new:
        session.expunge(each)
        make_transient_to_detached(each)
    session.add_all(new)


def row_of_new(row: Any, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Also says in the object what nobody has said; nothing for what only a flush can write."""
    known = inspect(row).dict
    for key, column in columns.items():
        if key not in known and (column.first is not None or column.may_be_null):
            known[key] = column.first() if column.first is not None else None
    values = {key: known[key] for key in columns if key in known}
    is_plain = isinstance(row, Identified) and not any(
        isinstance(each, ClauseElement) for each in values.values()
    )
    return values if is_plain else {}


# --- changed rows --------------------------------------------------------------------------


def write_changes(session: Session, *topics: str) -> None:
    """As a flush does; where only values of a few rows have changed, or are new, by one statement. Rings
    these topics with the commit.
    """
    # Always in the same order: a statement that looks the same each time is prepared.
    rows, new = sorted(session.dirty, key=place_of), sorted(session.new, key=place_of)
    changes, inserted = changes_of_rows(session, rows), rows_of_new(session, new)
    if session.deleted or changes is None or inserted is None:
        session.flush()
        if topics:
            bell.tell(session, *topics)
        return
    write(session, [(row, change) for row, change in changes if change], inserted, topics)
    note_written(session, new)
    for row in rows:
        state = inspect(row)
        state._commit_all(state.dict, session.identity_map)  # noqa: SLF001 -- how a flush ends


def changes_of_rows(session: Session, rows: Sequence[Any]) -> list[tuple[Any, Mapping[str, Any]]] | None:
    """None for what only a flush can write."""
    if len(rows) > TOGETHER_MAX or not all(isinstance(row, Identified) for row in rows):
        return None
    dialect = session.get_bind().dialect
    changes: list[tuple[Any, Mapping[str, Any]]] = []
    for row in rows:
        change = changes_of(row, columns_of(inspect(row).mapper, dialect))
        if change is None:
            return None
        changes.append((row, change))
    return changes


def changes_of(row: Any, columns: Mapping[str, Column]) -> dict[str, Any] | None:
    """New values by attribute; None for what only a flush can write."""
    state = inspect(row)
    changed: dict[str, Any] = {}
    for key, before in state.committed_state.items():
        now = state.dict.get(key, before)
        if key not in columns or isinstance(now, ClauseElement):
            return None
        if now is not before and now != before:
            changed[key] = now
    if changed:
        for key, column in columns.items():
            if column.later is not None and key not in changed:
                changed[key] = state.dict[key] = column.later()
    return changed


def write(
    session: Session,
    changed: Sequence[tuple[Any, Mapping[str, Any]]],
    new: Sequence[Rows],
    topics: Sequence[str],
) -> None:
    if not (changed or new or topics):
        return
    parts, values = updates(session, changed)
    inserts, inserted = insertions(session, new)
    calls, told = bell.ringing(topics)
    counts = " + ".join(COUNT.format(number=number) for number in range(len(parts))) or "0"
    asked = joined([*parts, *inserts, f"select {', '.join([counts, *calls])}"])
    found = session.connection().exec_driver_sql(asked, (*values, *inserted, *told))
    if found.one()[0] != len(changed):
        raise StaleDataError("a row that was to be changed is not there any more")


def updates(
    session: Session, changed: Sequence[tuple[Any, Mapping[str, Any]]]
) -> tuple[list[str], list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for row, change in changed:
        columns = columns_of(inspect(row).mapper, session.get_bind().dialect)
        said = [(columns[key], value) for key, value in change.items()]
        parts.append(updating(row.__tablename__, tuple(column.quoted for column, _ in said)))
        values += [value if column.convert is None else column.convert(value) for column, value in said]
        values.append(row.id)
    return parts, values


@functools.lru_cache(maxsize=1024)
def updating(table: str, names: tuple[str, ...]) -> str:
    return UPDATE.format(table=table, changes=", ".join(f"{name} = %s" for name in names))
