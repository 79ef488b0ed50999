"""Rows by the hundred thousand: ids that match their time, and COPY instead of INSERT."""

from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from changes.app import schema
from changes.app.demo.dice import Dice
from changes.base.db import Base
from changes.results import run_numbers

US_PER_MS = 1000
RANDOM_A = 1 << 12
COUNTER_BITS, RANDOM_BITS = 30, 32
VERSION, VARIANT = 7 << 76, 2 << 62

Connection = psycopg.Connection[tuple[Any, ...]]


class Ids:
    """UUIDv7 of any moment. Of two for the same microsecond, the later made is the greater."""

    def __init__(self, dice: Dice, tests_from: int = 1) -> None:
        self.dice = dice
        self.made = 0
        self.test_numbers = count(tests_from)
        self.batches = count()

    def at(self, when: datetime) -> UUID:
        self.made += 1
        since_1970_us = int(when.timestamp()) * 1_000_000 + when.microsecond
        since_1970_ms, rest_us = divmod(since_1970_us, US_PER_MS)
        fraction = rest_us * RANDOM_A // US_PER_MS
        counted = self.made % (1 << COUNTER_BITS) << RANDOM_BITS | self.dice.getrandbits(RANDOM_BITS)
        return UUID(int=since_1970_ms << 80 | VERSION | fraction << 64 | VARIANT | counted)

    def test(self) -> int:
        return next(self.test_numbers)

    def batch(self, when: datetime) -> int:
        return run_numbers.batch(when, next(self.batches))


class Rows:
    """Collected in memory and copied table by table, those first that others refer to."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.waiting: dict[str, list[tuple[Any, ...]]] = {}

    def add(self, model: type[Base], **values: Any) -> None:
        """The first row of a table says which columns all its rows have."""
        table = model.__tablename__
        names = self.names.setdefault(table, tuple(values))
        self.waiting.setdefault(table, []).append(tuple(values[name] for name in names))

    def copy(self, connection: Connection) -> int:
        """How many rows went; nothing waits afterwards."""
        count = 0
        for table in schema.metadata.sorted_tables:
            waiting = self.waiting.pop(table.name, None)
            if waiting:
                columns = [table.columns[name] for name in self.names[table.name]]
                copy_table(connection, table.name, columns, waiting)
                count += len(waiting)
        return count


def copy_table(
    connection: Connection, table: str, columns: list[Column[Any]], rows: list[tuple[Any, ...]]
) -> None:
    into = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.set_types([type_of(column) for column in columns])
        for row in rows:
            copy.write_row(row)


def type_of(column: Column[Any]) -> str:
    return column.type.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
