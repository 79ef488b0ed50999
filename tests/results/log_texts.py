"""Logs as they are stored: in rows of several forms."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session
from tests.factories import a_build, steps_of

from changes.base import ids, storage
from changes.builds.models import JobStep
from changes.results import log_frames
from changes.results.log_frames import Piece
from changes.results.models import LogChunk, LogSource

PLAIN, PACKED, BLOB = "plain", "packed", "blob"
MOMENT_MS = 1_700_000_000_000


def a_log(session: Session, text: bytes, form: str = PLAIN) -> LogSource:
    return a_log_of(session, text, [(len(text), form)])


def a_log_of(
    session: Session, text: bytes, parts: Sequence[tuple[int, str]], *, is_counted: bool = True
) -> LogSource:
    """In rows of these lengths and forms; the rest of it is plain."""
    step = steps_of(session, a_build(session))[0]
    source = an_empty_log(session, step)
    at = 0
    for length, form in [*parts, (len(text), PLAIN)]:
        add(session, source, text[at : at + length], form)
        at = min(len(text), at + length)
    if not is_counted:
        uncount(session, source)
    session.flush()
    return source


def an_empty_log(session: Session, step: JobStep, name: str = "console") -> LogSource:
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, name=name, size_bytes=0, newlines=0)
    session.add(source)
    session.flush()
    return source


def add(session: Session, source: LogSource, data: bytes, form: str) -> None:
    """Read a second after each other."""
    if data:
        times = [source.size_bytes, MOMENT_MS + 1000 * source.size_bytes]
        told = in_form(Piece(data, [0, times[1]]), form, f"logs/{source.id.hex}/{ids.new().hex}")
        at, before = source.size_bytes, source.newlines
        row = LogChunk(source_id=source.id, offset=at, size_bytes=len(data), lines_before=before, **told)
        row.times = times if form == PLAIN else None
        session.add(row)
        source.size_bytes += len(data)
        source.newlines = (before or 0) + data.count(b"\n")


def in_form(piece: Piece, form: str, key: str) -> dict[str, Any]:
    if form == PLAIN:
        return {"data": piece.data}
    frames, packed = log_frames.packed(list(log_frames.cut(piece)), log_frames.QUICK_LEVEL)
    told = {"data": b"", "frames": log_frames.index(frames), "stored_bytes": len(packed)}
    if form == PACKED:
        return {**told, "packed": packed}
    storage.storage.get().put(key, packed)
    return {**told, "key": key}


def uncount(session: Session, source: LogSource) -> None:
    """As a server wrote it that did not count lines yet."""
    source.newlines = None
    session.flush()
    for row in session.query(LogChunk).filter_by(source_id=source.id):
        row.lines_before = None
