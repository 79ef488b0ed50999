"""Parts of stored logs for pages and programs: the ends of several, and pieces as the API tells them."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import questions, storage
from changes.results import log_chunks, log_reading
from changes.results.log_chunks import Block, Chunk, Walk
from changes.results.models import LogSource

CONSOLE = "console"
# A piece ends with a line where that is not further away than this.
LINE_SOUGHT_BYTES = 64 * 1024
ENDS = f"""
select source.step_id, source.size_bytes, {log_chunks.COLUMNS}
from log_source source join log_chunk on log_chunk.source_id = source.id
where source.step_id = any(%(ids)s) and source.name = %(name)s
    and "offset" + log_chunk.size_bytes > source.size_bytes - %(bytes_max)s
order by source.step_id, "offset"
"""  # noqa: S608 -- put together from the constants above


class Part(NamedTuple):
    """`times` counts from the beginning of the log: byte and milliseconds in turns."""

    offset: int
    data: bytes
    times: list[int]


def console_tails(session: Session, step_ids: Collection[UUID], *, bytes_max: int) -> dict[UUID, bytes]:
    """The last bytes of the consoles of these steps, by one question; without one, a step is left out."""
    asked: dict[str, Any] = {"ids": list(step_ids), "name": CONSOLE, "bytes_max": bytes_max}
    walks: dict[UUID, Walk] = {}
    tails: dict[UUID, bytes] = {}
    for step_id, size_bytes, *row in questions.ask(session, ENDS, asked):
        start = max(0, size_bytes - bytes_max)
        walk = walks.setdefault(step_id, Walk(storage.storage.get(), start))
        fresh = b"".join(block.data for block in walk.over(Chunk(*row)))
        tails[step_id] = tails.get(step_id, b"") + fresh
    return tails


def parts(session: Session, source: LogSource, *, offset: int, limit: int) -> list[Part]:
    """About so many bytes from this one on. A negative offset asks for the last ones."""
    start, end = offset, min(source.size_bytes, offset + limit)
    if offset < 0:
        end = source.size_bytes
        start = line_begin(session, source, max(0, end - limit))
    blocks = log_reading.text_of(session, source).blocks(start)
    return [Part(block.offset, block.data, list(block.times)) for block in cut(blocks, end)]


def cut(blocks: Iterator[Block], end: int) -> Iterator[Block]:
    """With the end of the line in which they would end."""
    for block in blocks:
        if block.offset >= end:
            return
        data, stop = block.data, end - block.offset
        if stop < len(data):
            newline = data.find(b"\n", stop - 1, stop - 1 + LINE_SOUGHT_BYTES)
            data = data[: stop if newline < 0 else newline + 1]
        yield Block(block.offset, data, within(block, len(data)))


def within(block: Block, length: int) -> list[int]:
    pairs = zip(block.times[::2], block.times[1::2], strict=True)
    ends = block.offset + length
    return [number for pair in pairs if block.offset <= pair[0] < ends for number in pair]


def line_begin(session: Session, source: LogSource, offset: int) -> int:
    before = b"".join(log_reading.bytes_between(session, source, offset - LINE_SOUGHT_BYTES, offset))
    newline = before.rfind(b"\n")
    return offset if newline < 0 and len(before) < offset else offset - len(before) + newline + 1
