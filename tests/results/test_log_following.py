"""What a log has got since somebody looked."""

from typing import Any

import pytest
from psycopg import AsyncConnection
from sqlalchemy import text
from tests.builds import agents
from tests.factories import a_build
from tests.plain_sql import asked

from changes.base.db import Database
from changes.protocol import LOG_CHUNK_MAX_BYTES
from changes.results import log_following, logs
from changes.results.log_following import NEWEST_BYTES_MAX, Newest
from changes.results.logs import Writing


class Printing:
    def __init__(self, database: Database) -> None:
        with database.transaction() as session:
            build = a_build(session, commands=("make\nmake install", "make test"))
            step = agents.a_taken_step(session, build)
        self.database, self.size = database, 0
        self.writing = Writing(step.id, step.node_id, "console")

    def says(self, data: bytes, times: list[int] | None = None) -> None:
        writing = Writing(self.writing.step_id, self.writing.node_id, "console", times or [])
        self.size = asked(self.database, lambda connection: logs.append(connection, writing, self.size, data))

    @property
    def source_id(self) -> Any:
        with self.database.transaction() as session:
            return logs.source_of_step(session, self.writing.step_id, "console").id

    def newest(self, offset: int) -> Newest | None:
        source_id = self.source_id

        async def look(connection: AsyncConnection[Any]) -> Newest | None:
            return await log_following.newest(connection, source_id, offset)

        return asked(self.database, look)


@pytest.fixture
def printing(database: Database) -> Printing:
    return Printing(database)


def test_what_follows_a_place_is_told_with_its_times(printing: Printing) -> None:
    printing.says(b"one\ntw", [0, 1000])
    printing.says(b"o\nthree\n", [6, 2000])

    assert printing.newest(4) == Newest(4, b"two\nthree\n", [0, 1000, 6, 2000], 1)
    assert printing.newest(14) is None


def test_of_too_much_the_end_is_told_with_how_many_lines_end_before(printing: Printing) -> None:
    for _ in range(3):
        printing.says(b"0123456789abcde\n" * 12_500)

    found = printing.newest(16)

    assert found is not None
    assert (found.start, len(found.data)) == (600_000 - NEWEST_BYTES_MAX, NEWEST_BYTES_MAX)
    assert found.newlines_before == found.start // 16


def test_what_came_in_large_pieces_is_not_fetched_from_the_blob_store(printing: Printing) -> None:
    printing.says(b"one\n")
    printing.says(b"0123456\n" * (LOG_CHUNK_MAX_BYTES // 8))
    large = printing.newest(4)
    printing.says(b"last\n")

    assert large == Newest(4 + LOG_CHUNK_MAX_BYTES, b"", (), 1 + LOG_CHUNK_MAX_BYTES // 8)
    assert printing.newest(4) == Newest(large.start, b"last\n", [], large.newlines_before)


def test_a_log_of_an_older_server_does_not_know_its_lines(printing: Printing) -> None:
    printing.says(b"x\n" * NEWEST_BYTES_MAX)
    with printing.database.transaction() as session:
        session.execute(text("update log_source set newlines = null"))
        session.execute(text("update log_chunk set lines_before = null"))

    found = printing.newest(0)

    assert found is not None
    assert (found.start, found.newlines_before) == (NEWEST_BYTES_MAX, None)


def test_who_writes_it_is_known_by_the_first_lines_of_commands(printing: Printing) -> None:
    printing.says(b"one\n")
    source_id = printing.source_id

    writer = asked(printing.database, lambda connection: log_following.writer(connection, source_id))

    assert {"make", "make test"} <= writer.commands
