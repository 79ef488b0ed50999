"""Parts of stored logs for pages: some bytes from the middle, the ends of several, where a line is."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from changes.protocol import LOG_CHUNK_MAX_BYTES
from changes.results.models import LogChunk, LogSource

CONSOLE = "console"


def window(session: Session, source: LogSource, start: int, end: int) -> bytes:
    """The stored bytes of this range."""
    rows = session.execute(touching(source, start, end)).all()
    return b"".join(data[max(0, start - offset) : max(0, end - offset)] for offset, data in rows)


def touching(source: LogSource, start: int, end: int) -> Select[int, bytes]:
    # No chunk is longer than this, so the index need not be walked from the beginning.
    first = max(0, start - LOG_CHUNK_MAX_BYTES)
    found = select(LogChunk.offset, LogChunk.data).where(
        LogChunk.source_id == source.id, LogChunk.offset >= first, LogChunk.offset < end
    )
    return found.where(LogChunk.offset + LogChunk.size_bytes > start).order_by(LogChunk.offset)


def console_tails(session: Session, step_ids: Collection[UUID], *, bytes_max: int) -> dict[UUID, bytes]:
    """The last bytes of the consoles of these steps, by one question; without one, a step is left out."""
    found = (
        select(LogSource.step_id, LogSource.size_bytes, LogChunk.offset, LogChunk.data)
        .join(LogChunk, LogChunk.source_id == LogSource.id)
        .where(LogSource.step_id.in_(step_ids), LogSource.name == CONSOLE)
        .where(LogChunk.offset > LogSource.size_bytes - bytes_max - LOG_CHUNK_MAX_BYTES)
        .where(LogChunk.offset + LogChunk.size_bytes > LogSource.size_bytes - bytes_max)
        .order_by(LogSource.step_id, LogChunk.offset)
    )
    tails: dict[UUID, bytes] = {}
    for step_id, size_bytes, offset, data in session.execute(found):
        fresh = data[max(0, size_bytes - bytes_max - offset) :]
        tails[step_id] = tails.get(step_id, b"") + fresh
    return tails
