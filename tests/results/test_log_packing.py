"""Logs of steps that are over are packed, and read as before, whatever happens meanwhile."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.builds import agents
from tests.factories import a_build, steps_of
from tests.finished import end_step
from tests.plain_sql import asked
from tests.results.log_texts import BLOB, MOMENT_MS, PACKED, PLAIN, add, an_empty_log

from changes.base import storage
from changes.base.db import Database
from changes.base.storage import Storage
from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import log_frames, log_packing, log_reading, logs, orphans
from changes.results.log_frames import Damaged
from changes.results.logs import Writing
from changes.results.models import LogChunk, LogSource

# Which module that is depends on the version of Python.
zstd: Any = vars(log_frames)["zstd"]
FORMS = (PLAIN, PACKED, BLOB)
PARTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(FORMS)), min_size=2, max_size=8)
LINE = b"2026-01-01 12:00:00 INFO module_%d.test passed in 0.%d s\n"


@pytest.fixture
def store(database: Database) -> Storage:
    return storage.storage.get()


def text_of(lines: int) -> bytes:
    return b"".join(LINE % (number % 97, number * 7919) for number in range(lines))


def a_log(
    database: Database, text: bytes, parts: Sequence[tuple[int, str]] = (), *, is_over: bool = True
) -> LogSource:
    """In rows of these lengths and forms; the rest of it is plain, in one row."""
    with database.transaction() as session:
        step = steps_of(session, a_build(session))[0]
        source = an_empty_log(session, step)
        at = 0
        for length, form in [*parts, (len(text), PLAIN)]:
            add(session, source, text[at : at + length], form)
            at = min(len(text), at + length)
        if is_over:
            end_step(session, step, Result.PASSED)
        return source


def rows_of(database: Database, source: LogSource) -> list[LogChunk]:
    with database.transaction() as session:
        mine = select(LogChunk).where(LogChunk.source_id == source.id).order_by(LogChunk.offset)
        return list(session.execute(mine).scalars())


def now(session: Session, source: LogSource) -> LogSource:
    return session.get_one(LogSource, source.id)


def read(database: Database, source: LogSource) -> bytes:
    with database.transaction() as session:
        return b"".join(log_reading.bytes_between(session, now(session, source), 0, 2**40))


def keys(store: Storage) -> list[str]:
    """Of what is left when a day is over."""
    orphans.sweep(store, older_than=timedelta(0))
    return [key for key, _, _ in store.keys("logs")]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab\n", min_size=10, max_size=60).map(str.encode), parts=PARTS)
def test_a_packed_log_reads_as_before(
    database: Database, store: Storage, text: bytes, parts: list[tuple[int, str]]
) -> None:
    source = a_log(database, text, parts)
    with database.transaction() as session:
        before = log_reading.lines(session, source, 1, 100)

    log_packing.pack_all()

    with database.transaction() as session:
        mine = now(session, source)
        assert log_reading.lines(session, mine, 1, 100) == before
        assert (mine.is_packed, mine.newlines) == (True, text.count(b"\n"))
    assert read(database, source) == text
    assert len(rows_of(database, source)) == 1
    assert keys(store) == []


def test_a_large_log_becomes_one_blob_that_any_zstd_unpacks(database: Database, store: Storage) -> None:
    text = text_of(60_000)
    source = a_log(database, text, [(1_000_000, PLAIN), (1_100_000, BLOB), (300, PLAIN)])

    log_packing.pack_all()

    [row] = rows_of(database, source)
    assert row.key is not None
    assert keys(store) == [row.key]
    blob = b"".join(store.read(row.key))
    assert len(blob) == row.stored_bytes
    assert len(blob) < len(text) / 5
    assert zstd.decompress(blob) == text
    assert read(database, source) == text
    with database.transaction() as session:
        found = log_reading.lines(session, now(session, source), 50_000, 2)
        assert [line.text + b"\n" for line in found] == [LINE % (n % 97, n * 7919) for n in (49_999, 50_000)]
        assert found[0].time_ms == MOMENT_MS + 1000 * 2_100_300


def test_the_table_at_the_end_of_a_blob_says_where_its_frames_are(database: Database, store: Storage) -> None:
    text = text_of(60_000)
    source = a_log(database, text)
    log_packing.pack_all()
    [row] = rows_of(database, source)
    blob = b"".join(store.read(row.key or ""))

    count, flags, magic = log_frames.TABLE_FOOTER.unpack(blob[-9:])
    head = len(blob) - 9 - 8 * count - 8
    entries = list(log_frames.TABLE_ENTRY.iter_unpack(blob[head + 8 : -9]))

    assert (magic, flags) == (0x8F92EAB1, 0)
    assert log_frames.SKIPPED_HEAD.unpack(blob[head : head + 8]) == (0x184D2A5E, 8 * count + 9)
    assert sum(stored for stored, _ in entries) == head
    assert sum(size for _, size in entries) == len(text)
    begins = itertools.accumulate((stored for stored, _ in entries), initial=0)
    parts = [
        zstd.decompress(blob[at : at + stored])
        for at, (stored, size) in zip(begins, entries, strict=False)
        if size
    ]
    assert b"".join(parts) == text


def test_a_short_log_stays_in_its_row(database: Database) -> None:
    source = a_log(database, b"one\n")

    log_packing.pack_all()

    [row] = rows_of(database, source)
    assert row.data == b"one\n"
    assert log_packing.pack_some().seen == 0


def test_a_log_of_some_pages_becomes_one_row(database: Database, store: Storage) -> None:
    text = text_of(500)
    source = a_log(database, text, [(100, PLAIN)] * 100)

    log_packing.pack_all()

    [row] = rows_of(database, source)
    assert (row.data, row.key) == (b"", None)
    assert row.stored_bytes is not None
    assert row.stored_bytes < len(text) / 5
    assert read(database, source) == text


def test_many_logs_are_packed_together(database: Database) -> None:
    sources = [a_log(database, text_of(100 + number), [(2000, PLAIN)]) for number in range(5)]

    log_packing.pack_all()

    assert [read(database, source) for source in sources] == [text_of(100 + number) for number in range(5)]
    assert [len(rows_of(database, source)) for source in sources] == [1] * 5


def test_a_log_that_may_still_grow_is_left_alone(database: Database) -> None:
    source = a_log(database, text_of(500), [(100, PLAIN)] * 9, is_over=False)

    log_packing.pack_all()

    assert len(rows_of(database, source)) == 10


def test_a_log_with_a_hole_stays_as_it_is_and_shows_it(database: Database) -> None:
    source = a_log(database, text_of(500), [(100, PLAIN)] * 9)
    with database.transaction() as session:
        session.delete(session.get_one(LogChunk, (source.id, 200)))

    log_packing.pack_all()

    assert len(rows_of(database, source)) == 9
    assert b"[100 bytes of this log are missing]" in read(database, source)
    assert log_packing.pack_some().seen == 0


SMALL, LARGE = 10_000, 60_000


@pytest.mark.parametrize(
    ("place", "lines"),
    [("put_all", SMALL), ("put_pieces", LARGE), ("check", SMALL), ("check", LARGE), ("switch", LARGE)],
)
def test_whoever_dies_while_he_packs_loses_nothing(
    database: Database, store: Storage, monkeypatch: pytest.MonkeyPatch, place: str, lines: int
) -> None:
    """When the blob is there, when it was looked at, and just before the commit."""
    text = text_of(lines)
    source = a_log(database, text, [(1000, PLAIN), (len(text) // 2, BLOB)])
    with monkeypatch.context() as patched:
        die_at(patched, place)
        with pytest.raises(KeyboardInterrupt):
            log_packing.pack_all()

    assert read(database, source) == text
    log_packing.pack_all()

    assert read(database, source) == text
    [row] = rows_of(database, source)
    assert keys(store) == [row.key]


def die_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    owner: Any = Storage if place.startswith("put") else log_packing
    real = getattr(owner, place)

    def die(*arguments: Any, **named: Any) -> Any:
        real(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, place, die)


def test_what_was_not_stored_as_it_was_written_takes_no_place(
    database: Database, store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = a_log(database, text_of(60_000))
    real = Storage.put_pieces

    def flip(self: Storage, key: str, pieces: Iterator[bytes]) -> None:
        real(self, key, (bytes([piece[0] ^ 1]) + piece[1:] for piece in pieces))

    monkeypatch.setattr(Storage, "put_pieces", flip)
    with pytest.raises(Damaged):
        log_packing.pack_all()

    assert read(database, source) == text_of(60_000)


def test_a_reader_goes_on_when_the_log_is_packed_under_his_hands(database: Database) -> None:
    text = text_of(60_000)
    source = a_log(database, text, [(1_100_000, BLOB), (1_100_000, BLOB)])
    with database.transaction() as session:
        pieces = log_reading.bytes_between(session, now(session, source), 0, len(text))
        first = next(pieces)

        log_packing.pack_all()

        assert first + b"".join(pieces) == text


def test_bytes_that_came_at_the_last_moment_are_packed_later(database: Database) -> None:
    """The step ended between the question whether it goes on and the write."""
    with database.transaction() as session:
        step = agents.a_taken_step(session)
    writing = Writing(step.id, step.node_id, "console")
    asked(database, lambda connection: logs.append(connection, writing, 0, text_of(100)))
    with database.transaction() as session:
        source = logs.source_of_step(session, step.id, "console")
        source.is_packed = True

    asked(database, lambda connection: logs.append(connection, writing, len(text_of(100)), b"more\n"))

    with database.transaction() as session:
        assert not now(session, source).is_packed
        end_step(session, session.get_one(JobStep, step.id), Result.PASSED)
    log_packing.pack_all()
    assert read(database, source) == text_of(100) + b"more\n"
    assert len(rows_of(database, source)) == 1
