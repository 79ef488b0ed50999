"""Plain SQL that reads, and objects of what was read, for the few questions that every build asks.

What SQLAlchemy does to send a statement and to make objects of five rows costs several times what the
database needs for them. This goes through the same connection and gives the same objects.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import inspect, make_url
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from changes.base import db
from changes.base.db import Base

FORESEEN = "foreseen"
DIALECT = make_url("postgresql+psycopg://").get_dialect()()

Row = TypeVar("Row", bound=Base)
Rows = Sequence[Sequence[Any]]


# --- questions -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    statement: str
    values: Mapping[str, Any]


@dataclass
class Foreseen:
    questions: list[Question]
    answers: list[Rows] | None = None


def foresee(session: Session, *questions: Question) -> None:
    """They travel with the first question of this transaction, and whoever asks them has the answer: a way
    to the database and back costs as much as most of what is asked there.
    """
    session.info[FORESEEN] = Foreseen(list(questions)) if questions else None


def ask(session: Session, statement: str, values: Mapping[str, Any]) -> Rows:
    """Plain SQL with `%(name)s`. What the session has not written yet is not seen by it."""
    asked = Question(statement, values)
    foreseen: Foreseen | None = session.info.get(FORESEEN)
    if foreseen is None:
        return ask_alone(session, asked)
    if foreseen.answers is None:
        mine, *foreseen.answers = ask_together(session, [asked, *foreseen.questions])
        return mine
    if asked not in foreseen.questions:
        return ask_alone(session, asked)
    # Once: somebody may write before it is asked again.
    place = foreseen.questions.index(asked)
    del foreseen.questions[place]
    return foreseen.answers.pop(place)


def ask_alone(session: Session, asked: Question) -> Rows:
    return session.connection().exec_driver_sql(asked.statement, dict(asked.values)).all()


def ask_together(session: Session, questions: Sequence[Question]) -> list[Rows]:
    connection = db.plain(session.connection().connection)
    try:
        with connection.pipeline():
            cursors = [connection.execute(asked.statement.encode(), asked.values) for asked in questions]
            return [cursor.fetchall() for cursor in cursors]
    except psycopg.OperationalError:
        # SQLAlchemy says the same, and lets go of a connection that is lost.
        return [ask_alone(session, asked) for asked in questions]


# --- objects ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    key: str
    name: str
    # From a value of the database to one of ours.
    convert: Callable[[Any], Any] | None


@functools.cache
def columns_of(model: type[Base]) -> tuple[Column, ...]:
    quote = DIALECT.identifier_preparer.quote
    found = []
    for attribute in inspect(model).column_attrs:
        column = attribute.columns[0]
        convert = column.type.dialect_impl(DIALECT).result_processor(DIALECT, None)
        found.append(Column(attribute.key, f"{quote(model.__tablename__)}.{quote(column.name)}", convert))
    return tuple(found)


def names(*models: type[Base]) -> str:
    """What a statement selects so that `objects` can be made of it."""
    return ", ".join(column.name for model in models for column in columns_of(model))


def width(*models: type[Base]) -> int:
    """How many columns of a row are theirs."""
    return sum(len(columns_of(model)) for model in models)


def objects(session: Session, row: Sequence[Any], *models: type[Base], is_fresh: bool = False) -> list[Any]:
    """One of each, as if the session had loaded it; None where an outer join found nothing. What the session
    has already stays as it is, unless this row is newer: of what was locked by its question.
    """
    found, start = [], 0
    for model in models:
        end = start + len(columns_of(model))
        found.append(loaded(session, model, row[start:end], is_fresh=is_fresh))
        start = end
    return found


def loaded(session: Session, model: type[Row], values: Sequence[Any], *, is_fresh: bool) -> Row | None:
    mapper = inspect(model)
    said = {
        column.key: value if column.convert is None else column.convert(value)
        for column, value in zip(columns_of(model), values, strict=True)
    }
    key = tuple(said[mapper.get_property_by_column(column).key] for column in mapper.primary_key)
    if None in key:
        return None
    known = session.identity_map.get(mapper.identity_key_from_primary_key(key))
    if known is not None and not is_fresh:
        return cast("Row", known)
    row = cast("Row", known or mapper.class_manager.new_instance())
    if known is None:
        inspect(row).dict.update(said)
        make_transient_to_detached(row)
        session.add(row)
    else:
        session.expire(row, [relationship.key for relationship in mapper.relationships])
        for name, value in said.items():
            set_committed_value(row, name, value)
    return row
