"""What a log has got since somebody looked: plain SQL, because many look all the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from changes.protocol import LOG_CHUNK_MAX_BYTES

NEWEST_BYTES_MAX = 256 * 1024
NEWEST = """
with source as (
    select id, newlines, greatest(%(offset)s, size_bytes - %(bytes_max)s) as wanted
    from log_source where id = %(id)s
)
select chunk."offset", chunk.size_bytes, chunk.data, chunk.times, chunk.lines_before, source.newlines
from source join log_chunk chunk on chunk.source_id = source.id
where chunk."offset" > source.wanted - %(chunk_max)s and chunk."offset" + chunk.size_bytes > source.wanted
order by chunk."offset"
"""
WRITER = """
select extract(epoch from step.date_started) * 1000, command.label, command.script
from log_source source join job_step step on step.id = source.step_id
left join command on command.step_id = step.id where source.id = %s
"""


@dataclass(frozen=True)
class Newest:
    """`data` begins at `start`, before which so many lines have their end, where somebody counted them."""

    start: int
    data: bytes
    times: Sequence[int] = ()
    newlines_before: int | None = None


@dataclass(frozen=True)
class Writer:
    """What the step is told to run, and since when it does."""

    commands: frozenset[str]
    began_ms: int | None


async def newest(connection: AsyncConnection[Any], source_id: UUID, offset: int) -> Newest | None:
    """From `offset` on, or from later where that is too much or lies elsewhere already."""
    values: dict[str, object] = {
        "id": source_id,
        "offset": offset,
        "bytes_max": NEWEST_BYTES_MAX,
        "chunk_max": LOG_CHUNK_MAX_BYTES,
    }
    rows = await (await connection.execute(NEWEST, values)).fetchall()
    if not rows:
        return None
    # What came in large pieces lies in the blob store, where nobody looks for news.
    elsewhere = max((at for at, row in enumerate(rows) if len(row[2]) < row[1]), default=-1)
    kept = rows[elsewhere + 1 :]
    if not kept:
        begin, size, *_, newlines = rows[-1]
        return Newest(begin + size, b"", (), newlines)
    begin, lines_before = kept[0][0], kept[0][4]
    data = b"".join(row[2] for row in kept)
    skipped = max(0, offset - begin, len(data) - NEWEST_BYTES_MAX)
    before = None if lines_before is None else lines_before + data.count(b"\n", 0, skipped)
    times = [number for row in kept for number in row[3] or ()]
    return Newest(begin + skipped, data[skipped:], times, before)


async def writer(connection: AsyncConnection[Any], source_id: UUID) -> Writer:
    rows = await (await connection.execute(WRITER, [source_id])).fetchall()
    began = rows[0][0] if rows else None
    told = [text for _, label, script in rows for text in (label, script) if text and text.strip()]
    titles = frozenset(text.splitlines()[0].rstrip() for text in told)
    return Writer(titles, None if began is None else round(began))
