import pytest
from sqlalchemy import select, text

from changes.base import clock
from changes.base.db import Database
from changes.results import models, packing, partitions, run_numbers, testruns

TESTS, BATCHES = 500, 40
# Of 130 that the runs take.
PAGES_READ_MAX = 40
BATCH = """
insert into test_batch (id, end_id, step_id, job_id, build_id, project_id, date_created, is_of_commit)
select :first, :first + :last + 1, id, id, id, id, now(), true from gen_random_uuid() id
"""
# The batches here are those of no build.
LET_LOOSE = """
select format('alter table test_batch drop constraint %I', conname) from pg_constraint
where conrelid = 'test_batch'::regclass and contype = 'f'
"""
RUNS = "insert into test_run (id, test_id, result) select :first + n, n, 1 from generate_series(0, :last) n"
# Of six projects, day by day as in life.
FLAKY_DAYS = (
    "alter table test_flaky_day drop constraint fk_test_flaky_day_project_id",
    """
    insert into test_flaky_day (project_id, day, test_id, flaky, double_reruns, passed, reruns)
    select lpad(project::text, 32, '0')::uuid, date '2026-01-01' + day, test, 1, 0, 1, 1
    from generate_series(1, 40) day, generate_series(1, 6) project, generate_series(1, 50) test order by day
    """,
    "analyze test_flaky_day",
)
SIZE_OF_DAYS = "select pg_relation_size('pk_test_flaky_day')"


def fill(database: Database, months_ago: int) -> None:
    """As in life: each batch has a run of each test."""
    month = partitions.later(partitions.month_of(clock.now()), -months_ago)
    with database.transaction() as session:
        partitions.make(session, month, month)
        for statement in session.execute(text(LET_LOOSE)).scalars().all():
            session.execute(text(statement))
        for serial in range(BATCHES):
            first = run_numbers.batch(month, serial)
            session.execute(text(RUNS), {"first": first, "last": TESTS - 1})
            session.execute(text(BATCH), {"first": first, "last": TESTS - 1})
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


def test_flaky_days_lie_close_together_once_there_are_many(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in FLAKY_DAYS:
            connection.execute(text(statement))
        before = connection.execute(text(SIZE_OF_DAYS)).scalar_one()

        packed = [packing.pack(database), packing.pack(database)]

        assert packed == [1, 0]
        assert connection.execute(text(SIZE_OF_DAYS)).scalar_one() < before * 0.8


@pytest.mark.parametrize(
    ("entry_bytes", "is_packed"),
    [(range(20, 100), False), (range(20, 32), True), (range(60, 100), True)],
    ids=["all is well", "its pages have split", "its pages are full"],
)
def test_the_index_of_this_month_is_written_anew_before_or_after_its_pages_split(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, entry_bytes: range, is_packed: bool
) -> None:
    fill(database, months_ago=0)
    monkeypatch.setattr(packing, "GROWING_ENTRY_BYTES", entry_bytes)

    assert packing.pack(database) == int(is_packed)


def test_one_run_of_a_large_batch_is_found_by_its_number_without_reading_the_others(
    database: Database,
) -> None:
    fill(database, months_ago=0)
    with database.transaction() as session:
        packing.note_places(session)
    number = run_numbers.batch(partitions.month_of(clock.now()), BATCHES - 1) + TESTS // 2

    with database.transaction() as session:
        # The month is small here.
        session.execute(text("set local enable_seqscan = off"))
        found = select(models.TestRun.test_id).where(testruns.is_run(number))
        statement = found.compile(session.connection(), compile_kwargs={"literal_binds": True})
        asked = text(f"explain (analyze, buffers, costs off, format json) {statement}")
        [plan] = session.execute(asked).scalar_one()

    assert plan["Plan"]["Actual Rows"] == 1
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] <= PAGES_READ_MAX


def test_the_index_of_this_month_has_room_for_more_when_it_was_written_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, months_ago=0)
    with monkeypatch.context() as patched:
        patched.setattr(packing, "GROWING_ENTRY_BYTES", range(0))
        packing.pack(database)

    assert packing.pack(database) == 0
