import pytest
from sqlalchemy import text

from changes.base import clock
from changes.base.db import Database
from changes.results import packing, partitions, run_numbers

TESTS, BATCHES = 500, 40
LOOSER_THAN_ANY, LOOSER_THAN_NEW = 100, 36
RUNS = "insert into test_run (id, test_id, result) select :first + n, n, 1 from generate_series(0, :last) n"


def fill(database: Database, months_ago: int) -> None:
    """As in life: each batch has a run of each test."""
    month = partitions.later(partitions.month_of(clock.now()), -months_ago)
    with database.transaction() as session:
        partitions.make(session, month, month)
        for serial in range(BATCHES):
            first = run_numbers.batch(month, serial)
            session.execute(text(RUNS), {"first": first, "last": TESTS - 1})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze test_run"))


def sizes(database: Database) -> list[int]:
    found = "select pg_indexes_size(oid) from pg_class where relname ~ '^test_run_2' and relkind = 'r'"
    with database.transaction() as session:
        return list(session.execute(text(found)).scalars())


def test_indexes_of_a_month_that_is_over_are_made_dense_once(database: Database) -> None:
    fill(database, months_ago=1)
    before = max(sizes(database))

    packed = [packing.pack(database), packing.pack(database)]

    assert packed == [1, 0]
    assert max(sizes(database)) < before


def test_indexes_of_this_month_still_grow_and_are_left_alone_until_they_are_very_loose(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, months_ago=0)
    monkeypatch.setattr(packing, "GROWING_ENTRY_MAX_BYTES", LOOSER_THAN_ANY)
    alone = packing.pack(database)
    monkeypatch.setattr(packing, "GROWING_ENTRY_MAX_BYTES", LOOSER_THAN_NEW)

    assert [alone, packing.pack(database), packing.pack(database)] == [0, 1, 0]
