"""Logs by bytes and lines, in whatever rows they are stored."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session
from tests.results.log_texts import BLOB, MOMENT_MS, PACKED, PLAIN, a_log, a_log_of

from changes.base import clock, ids, storage
from changes.base.settings import Settings
from changes.results import log_chunks, log_frames, log_reading
from changes.results.models import Artifact, LogChunk, LogSource

FORMS = (PLAIN, PACKED, BLOB)
TEXTS = st.text(alphabet="ab\n", max_size=40).map(str.encode)
PARTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(FORMS)), max_size=8)


@pytest.fixture(autouse=True)
def store(settings: Settings) -> storage.Storage:
    return storage.storage.get()


@pytest.fixture
def short_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_frames, "FRAME_BYTES", 3)
    monkeypatch.setattr(log_chunks, "FETCHED_BYTES", 7)


def lines_of(text: bytes) -> list[bytes]:
    pieces = text.split(b"\n")
    return pieces if pieces[-1] else pieces[:-1]


def texts(found: list[log_reading.Line]) -> list[bytes]:
    return [line.text for line in found]


@pytest.mark.usefixtures("short_frames")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, parts=PARTS, place=st.integers(0, 40), is_counted=st.booleans())
def test_every_line_and_byte_is_found_however_the_log_is_stored(
    session: Session, text: bytes, parts: list[tuple[int, str]], place: int, *, is_counted: bool
) -> None:
    source = a_log_of(session, text, parts, is_counted=is_counted)
    wanted, part = lines_of(text), text[place : place + 5]

    found = log_reading.lines(session, source, place, 3)

    first = max(1, place)
    assert [(line.number, line.text) for line in found] == list(enumerate(wanted, 1))[first - 1 : first + 2]
    assert all(text[line.offset :].startswith(line.text) for line in found)
    assert log_reading.line_count(session, source) == len(wanted)
    assert log_reading.line_of_offset(session, source, place) == text[:place].count(b"\n") + 1
    assert b"".join(log_reading.bytes_between(session, source, place, place + 5)) == part
    assert texts(log_reading.tail(session, source, 2)) == wanted[-2:]


@pytest.mark.parametrize("form", FORMS)
def test_a_line_knows_when_it_was_printed(session: Session, form: str) -> None:
    source = a_log_of(session, b"one\ntwo\n", [(4, form), (4, form)])

    found = log_reading.lines(session, source, 1, 5)

    assert [line.time_ms for line in found] == [MOMENT_MS, MOMENT_MS + 4000]


def test_a_line_without_an_end_is_open(session: Session) -> None:
    source = a_log(session, b"one\ntw")

    assert [line.is_open for line in log_reading.lines(session, source, 1, 5)] == [False, True]


@pytest.mark.parametrize("form", FORMS)
def test_a_long_line_is_cut_and_says_how_much(session: Session, form: str) -> None:
    source = a_log(session, b"x" * 1_500_000 + b"\nshort\n", form)

    long, short = log_reading.lines(session, source, 1, 5)

    assert (len(long.text), long.size_bytes, long.cut_bytes) == (16_384, 1_500_000, 1_500_000 - 16_384)
    assert (short.number, short.text, short.offset) == (2, b"short", 1_500_001)


def test_long_lines_come_few_at_a_time(session: Session) -> None:
    source = a_log(session, (b"x" * 20_000 + b"\n") * 400, PACKED)

    found = log_reading.lines(session, source, 1, 400)

    assert len(found) == 4 * 1024 * 1024 // 16_384
    assert log_reading.lines(session, source, found[-1].number + 1, 400)[0].number == len(found) + 1


@pytest.mark.parametrize("form", FORMS)
def test_a_hole_is_shown_and_moves_nothing_behind_it(session: Session, form: str) -> None:
    text = b"one\ntwo\nthree\nfour\nfive\n"
    source = a_log_of(session, text, [(6, form), (10, form)])
    session.execute(delete(LogChunk).where(LogChunk.source_id == source.id, LogChunk.offset == 6))

    found = log_reading.lines(session, source, 1, 9)

    assert [line.number for line in found] == [1, 2, 3, 4, 5]
    assert [line.is_missing for line in found] == [False, True, True, False, False]
    assert found[1].text.startswith(b"tw[10 byt")
    assert (found[4].text, found[4].offset) == (b"five", 19)
    assert len(b"".join(log_reading.bytes_between(session, source, 0, 100))) == len(text)


def test_a_log_of_which_the_end_is_missing_says_so(session: Session) -> None:
    source = a_log_of(session, b"one\n" + b"x" * 60, [(4, PLAIN)])
    session.execute(delete(LogChunk).where(LogChunk.source_id == source.id, LogChunk.offset == 4))

    found = log_reading.lines(session, source, 1, 9)

    assert [line.text.rstrip() for line in found] == [b"one", b"[60 bytes of this log are missing]"]


def test_a_blob_that_is_gone_is_a_hole(session: Session, store: storage.Storage) -> None:
    source = a_log_of(session, b"one\ntwo\n" + b"three\n" * 9, [(8, BLOB)])
    store.delete(key_of(session, source))

    found = log_reading.lines(session, source, 1, 4)

    assert [line.is_missing for line in found] == [True, True, False, False]
    assert found[2].text == b"three"


def test_a_blob_that_was_damaged_is_a_hole(session: Session, store: storage.Storage) -> None:
    source = a_log_of(session, b"one\ntwo\n" + b"three\n" * 9, [(8, BLOB)])
    key = key_of(session, source)
    stored = bytearray(b"".join(store.read(key)))
    stored[10] ^= 255
    store.put(key, bytes(stored))

    found = log_reading.lines(session, source, 1, 4)
    assert [line.is_missing for line in found] == [True, True, False, False]


def key_of(session: Session, source: LogSource) -> str:
    chunk = session.query(LogChunk).filter_by(source_id=source.id, offset=0).one()
    assert chunk.key is not None
    return chunk.key


def test_a_log_that_was_cleaned_away_is_empty(session: Session) -> None:
    source = a_log(session, b"one\n")
    session.execute(delete(LogChunk).where(LogChunk.source_id == source.id))
    source.date_removed = clock.now()

    assert log_reading.lines(session, source, 1, 9) == []
    assert log_reading.line_count(session, source) == 0


def test_a_file_that_a_step_left_is_read_in_the_same_way(session: Session, store: storage.Storage) -> None:
    text = b"one\ntwo\n" * 300_000 + b"end"
    store.put("artifacts/a", text)
    step_id = a_log(session, b"").step_id
    artifact = Artifact(
        id=ids.new(), step_id=step_id, name="a.log", size_bytes=len(text), sha256="", key="artifacts/a"
    )

    assert log_reading.line_count(session, artifact) == 600_001
    assert texts(log_reading.tail(session, artifact, 2)) == [b"two", b"end"]
    assert texts(log_reading.lines(session, artifact, 300_001, 2)) == [b"one", b"two"]
    assert log_reading.line_of_offset(session, artifact, 8 * 1000 + 4) == 2002
    assert b"".join(log_reading.bytes_between(session, artifact, 6, 9)) == text[6:9]


def test_an_empty_log_has_no_lines(session: Session) -> None:
    source = a_log(session, b"")

    assert log_reading.line_count(session, source) == 0
    assert log_reading.lines(session, source, 1, 5) == []
    assert log_reading.tail(session, source, 5) == []
