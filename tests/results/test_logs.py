import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.plain_sql import asked

from changes.base import ids, storage
from changes.base.db import Database
from changes.base.errors import Gone, Invalid, NotFound
from changes.builds import cancel
from changes.builds.models import Build, JobStep
from changes.results import log_reading, logs
from changes.results.logs import OffsetExpected, Writing
from changes.results.models import LogChunk, LogSource


@pytest.fixture
def console(database: Database) -> Writing:
    """Of a step that runs."""
    with database.transaction() as session:
        step = agents.a_taken_step(session)
    assert step.node_id is not None
    return Writing(step.id, step.node_id, "console")


def append(database: Database, console: Writing, offset: int, data: bytes) -> int:
    return asked(database, lambda connection: logs.append(connection, console, offset, data))


def expected(database: Database, console: Writing, offset: int, data: bytes) -> int:
    with pytest.raises(OffsetExpected) as refused:
        append(database, console, offset, data)
    return refused.value.offset


def source_of(database: Database, console: Writing) -> LogSource:
    with database.transaction() as session:
        return logs.source_of_step(session, console.step_id, console.name)


def stored(database: Database, console: Writing, offset: int = 0) -> bytes:
    source = source_of(database, console)
    return asked(database, lambda connection: read_on(connection, source, offset))


async def read_on(connection: AsyncConnection[Any], source: LogSource, offset: int) -> bytes:
    text = b""
    while pieces := await logs.next_bytes(connection, source.id, offset + len(text)):
        text += b"".join(pieces)
    return text


def end_build_of(database: Database, console: Writing) -> None:
    with database.transaction() as session:
        step = session.get_one(JobStep, console.step_id)
        cancel.cancel_build(session, session.get_one(Build, step.job.build_id))


def test_bytes_are_read_as_they_were_written(database: Database, console: Writing) -> None:
    assert append(database, console, 0, b"one\n") == 4
    assert append(database, console, 4, b"\xfftwo\0") == 9

    assert stored(database, console) == b"one\n\xfftwo\0"
    assert stored(database, console, 5) == b"two\0"


def test_the_same_bytes_again_are_a_success(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")

    assert append(database, console, 0, b"one") == 3
    assert stored(database, console) == b"one"


def test_a_piece_that_overlaps_adds_what_is_new(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")

    assert append(database, console, 1, b"ne two") == 7
    assert stored(database, console) == b"one two"


def test_bytes_after_a_hole_are_refused_with_the_offset_that_is_expected(
    database: Database, console: Writing
) -> None:
    assert expected(database, console, 5, b"two") == 0
    append(database, console, 0, b"one")

    assert expected(database, console, 5, b"two") == 3
    assert stored(database, console) == b"one"


def test_nothing_is_nothing(database: Database, console: Writing) -> None:
    assert append(database, console, 0, b"") == 0


PIECES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
def test_a_log_is_the_beginning_of_what_was_said_however_it_is_sent(
    database: Database, console: Writing, pieces: list[tuple[int, int]]
) -> None:
    """Repeated, overlapping, with holes: what is acknowledged is there, and nothing else."""
    said = bytes(range(32))
    console = replace(console, name=ids.new().hex)

    async def send_all(connection: AsyncConnection[Any]) -> int:
        size = 0
        for offset, length in pieces:
            data = said[offset : offset + length]
            try:
                acknowledged = await logs.append(connection, console, offset, data)
            except OffsetExpected as refused:
                acknowledged = refused.offset
                assert offset > size
            size = max(size, min(acknowledged, 32))
            assert acknowledged == size
        return size

    size = asked(database, send_all)

    if pieces:
        assert stored(database, console) == said[:size]


def test_several_writers_of_one_log_leave_neither_holes_nor_doubles(
    database: Database, console: Writing
) -> None:
    said = bytes(range(200))

    async def write(seed: int) -> None:
        async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
            offset = 0
            while offset < len(said):
                piece = said[offset : offset + seed]
                try:
                    offset = await logs.append(connection, console, offset, piece)
                except OffsetExpected as refused:
                    offset = refused.offset

    async def all_at_once() -> None:
        await asyncio.gather(*(write(seed) for seed in (3, 7, 11, 13)))

    asyncio.run(all_at_once())

    assert stored(database, console) == said


def test_each_name_is_a_log_of_its_own(database: Database, console: Writing) -> None:
    other = Writing(console.step_id, console.node_id, "tests")

    append(database, console, 0, b"one")
    append(database, other, 0, b"two")

    assert (stored(database, console), stored(database, other)) == (b"one", b"two")
    with database.transaction() as session:
        found = logs.sources_of_steps(session, [console.step_id])[console.step_id]
    assert [source.name for source in found] == ["console", "tests"]


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "n" * 65])
def test_a_log_needs_a_plain_name(database: Database, console: Writing, name: str) -> None:
    with pytest.raises(Invalid):
        append(database, Writing(console.step_id, console.node_id, name), 0, b"x")


def test_nobody_writes_the_log_of_another_nodes_step(database: Database, console: Writing) -> None:
    with pytest.raises(NotFound):
        append(database, Writing(console.step_id, ids.new(), "console"), 0, b"x")


def test_a_log_is_closed_when_its_step_is_over(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")
    end_build_of(database, console)

    with pytest.raises(Gone):
        append(database, console, 3, b"two")
    assert stored(database, console) == b"one"
    source = source_of(database, console)
    assert asked(database, lambda connection: logs.is_over(connection, source.id))


def test_a_log_goes_on_while_its_step_does(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")
    source = source_of(database, console)

    assert not asked(database, lambda connection: logs.is_over(connection, source.id))


def test_a_log_that_does_not_exist_is_over(database: Database) -> None:
    assert asked(database, lambda connection: logs.is_over(connection, ids.new()))


def test_readers_who_wait_are_told_of_new_bytes(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")
    source = source_of(database, console)

    heard = agents.notices(database, logs.LOG_CHANNEL, lambda: append(database, console, 3, b"two"))

    assert heard == [source.id.hex]


@pytest.mark.parametrize("offset", [0, 7])
def test_a_large_piece_goes_to_the_blob_store(database: Database, console: Writing, offset: int) -> None:
    large = b"0123456789abcde\n" * 65536
    append(database, console, 0, large[:offset])

    assert append(
        database, replace(console, times=[offset, 1_700_000_000_000]), offset, large
    ) == offset + len(large)

    with database.transaction() as session:
        source = logs.source_of_step(session, console.step_id, console.name)
        row = session.get_one(LogChunk, (source.id, offset))
        last = log_reading.tail(session, source, 1)[0]
    assert (row.data, row.size_bytes) == (b"", len(large))
    assert [key for key, _, _ in storage.storage.get().keys("logs")] == [row.key]
    assert stored(database, console) == large[:offset] + large
    assert (last.text, last.number, last.time_ms) == (b"0123456789abcde", 65536, 1_700_000_000_000)


def test_a_large_piece_that_is_refused_leaves_nothing_behind(database: Database, console: Writing) -> None:
    with pytest.raises(OffsetExpected):
        append(database, console, 5, b"x" * 2**20)

    assert list(storage.storage.get().keys("logs")) == []


def test_a_log_that_is_not_there_is_said_to_be_missing(session: Session) -> None:
    step = factories.steps_of(session, factories.a_build(session))[0]

    with pytest.raises(NotFound):
        logs.source_of_step(session, step.id, "console")
    with pytest.raises(NotFound):
        logs.source(session, step.id)


def test_what_was_acknowledged_survives_the_connection(database: Database, console: Writing) -> None:
    append(database, console, 0, b"one")

    with psycopg.connect(database.conninfo) as connection:
        found = connection.execute("select data from log_chunk").fetchall()

    assert found == [(b"one",)]
