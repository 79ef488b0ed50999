"""The stored pieces of a log, in whatever form they are, as blocks of bytes in their order.

What is missing is a block, too, of exactly the length and the number of lines that were lost, so that all
offsets and line numbers behind it stay what they were.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from changes.base import questions
from changes.base.db import Session
from changes.base.errors import NotFound, Unavailable
from changes.base.storage import Storage, StorageError
from changes.results import log_frames
from changes.results.log_frames import FIRST, Damaged, Frame, Piece, Place

MISSING_AT_ONCE = log_frames.FRAME_BYTES
# Of a row that is compressed so much is unpacked at once for somebody who reads on and on.
GIVEN_BYTES = 1024 * 1024
# Frames that are next to each other are fetched together, up to so many bytes of the log.
FETCHED_BYTES = 2 * 1024 * 1024
ROWS_MIN, ROWS_MAX = 4, 1000
COLUMNS = '"offset", log_chunk.size_bytes, data, times, lines_before, frames, packed, key'
# From the row that begins at or before this byte.
FROM_BYTE = f"""
select {COLUMNS} from log_chunk
where source_id = %(id)s and "offset" + size_bytes > %(offset)s and "offset" >= coalesce((
    select "offset" from log_chunk
    where source_id = %(id)s and "offset" <= %(offset)s order by "offset" desc limit 1
), 0) order by "offset" limit %(limit)s
"""  # noqa: S608 -- put together from the constants above
AT_BYTE = """
select "offset", size_bytes, lines_before, frames from log_chunk
where source_id = %(id)s and "offset" <= %(offset)s and (lines_before is not null or not %(counted)s)
order by "offset" desc limit 1
"""


class Block(NamedTuple):
    """Bytes of a log from this offset on. `times` counts from the beginning of the log."""

    offset: int
    data: bytes
    times: Sequence[int] = ()
    is_missing: bool = False


class Chunk(NamedTuple):
    """A row, as plain SQL gives it."""

    offset: int
    size_bytes: int
    data: bytes
    times: list[int] | None
    lines_before: int | None
    frames: bytes | None
    packed: bytes | None
    key: str | None

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


class Mark(NamedTuple):
    """A byte of which it is known how many lines have their end before it."""

    offset: int
    newlines: int


# --- rows --------------------------------------------------------------------------------------------


def asked_from(source_id: UUID, offset: int, limit: int) -> dict[str, Any]:
    return {"id": source_id, "offset": offset, "limit": limit}


def rows_from(session: Session, source_id: UUID, offset: int, limit: int) -> list[Chunk]:
    return [Chunk(*row) for row in questions.ask(session, FROM_BYTE, asked_from(source_id, offset, limit))]


def next_limit(found: Sequence[Chunk]) -> int:
    """Small ones are read many at a time; of large ones few fit into memory."""
    average = 1 + sum(len(chunk.data) for chunk in found) // max(1, len(found))
    return max(ROWS_MIN, min(ROWS_MAX, FETCHED_BYTES // average))


# --- blocks of a whole log ---------------------------------------------------------------------------


class Walk:
    """Over rows in their order, with words for what lies between them and is not there."""

    def __init__(self, store: Storage, start: int) -> None:
        self.store = store
        self.position = start
        # Lines that end before this position, as far as it is known.
        self._newlines: int | None = None

    def over_all(self, chunks: Sequence[Chunk]) -> Iterator[Block]:
        for chunk in chunks:
            yield from self.over(chunk)

    def over(self, chunk: Chunk) -> Iterator[Block]:
        if chunk.offset > self.position:
            yield from self.gap(chunk.offset, chunk.lines_before)
        known = newlines_at(chunk, self.position)
        self._newlines = self._newlines if known is None else known
        for block in blocks(self.store, chunk, self.position):
            if self._newlines is not None:
                self._newlines += block.data.count(b"\n")
            yield block
        self.position = chunk.end

    def gap(self, end: int, lines_before: int | None) -> Iterator[Block]:
        lost = 0
        if lines_before is not None and self._newlines is not None:
            lost = max(0, lines_before - self._newlines)
        elif lines_before is not None and self.position == 0:
            lost = lines_before
        yield from missing(self.position, end - self.position, lost)
        self.position = end


def blocks_of(session: Session, store: Storage, source_id: UUID, start: int) -> Iterator[Block]:
    """To the end of what is stored. Rows may be packed meanwhile: each look begins where we are."""
    walk = Walk(store, start)
    limit = ROWS_MIN
    while found := rows_from(session, source_id, walk.position, limit):
        yield from walk.over_all(found)
        limit = next_limit(found)


def pieces(store: Storage, found: Sequence[Chunk], start: int) -> list[bytes]:
    """Bytes of these rows, about a megabyte at most."""
    told: list[bytes] = []
    size = 0
    for block in Walk(store, start).over_all(found):
        told.append(block.data)
        size += len(block.data)
        if size >= GIVEN_BYTES:
            break
    return told


def newlines_at(chunk: Chunk, position: int) -> int | None:
    """How many lines end before it, where that is known without counting."""
    place = log_frames.place_of_byte(log_frames.frames_of(chunk.frames or b""), position - chunk.offset)
    if chunk.lines_before is None or position != chunk.offset + place.offset:
        return None
    return chunk.lines_before + place.newlines


def missing(offset: int, size_bytes: int, newlines: int = 0) -> Iterator[Block]:
    """So many bytes with so many ends of lines; they begin with a word about it."""
    newlines = min(newlines, size_bytes)
    ends, words_end = offset + size_bytes, offset + size_bytes - newlines
    words = f"[{size_bytes:,} bytes of this log are missing]".encode()[: words_end - offset]
    while offset < ends:
        length = min(MISSING_AT_ONCE, ends - offset)
        data = words.ljust(max(0, min(length, words_end - offset))).ljust(length, b"\n")
        yield Block(offset, data, is_missing=True)
        offset, words = offset + length, b""


# --- blocks of one row -------------------------------------------------------------------------------


def blocks(store: Storage, chunk: Chunk, start: int) -> Iterator[Block]:
    """Its bytes from `start` on, counted from the beginning of the log."""
    start = max(start, chunk.offset)
    if chunk.frames is None:
        yield from plain(chunk, start)
        return
    place = log_frames.place_of_byte(log_frames.frames_of(chunk.frames), start - chunk.offset)
    at = chunk.offset + place.offset
    for frame, stored in stored_frames(store, chunk, place):
        yield from of_frame(frame, stored, at, start)
        at += frame.size_bytes


def stored_frames(store: Storage, chunk: Chunk, place: Place = FIRST) -> Iterator[tuple[Frame, bytes | None]]:
    """From one of them on, with what is stored of each."""
    frames = log_frames.frames_of(chunk.frames or b"")
    number, stored_at = place.number, place.stored_at
    while number < len(frames):
        together = fetched_together(frames[number:])
        yield from zip(together, fetch(store, chunk, together, stored_at), strict=True)
        stored_at += sum(frame.stored_bytes + frame.times_bytes for frame in together)
        number += len(together)


def plain(chunk: Chunk, start: int) -> Iterator[Block]:
    data = chunk.data[start - chunk.offset :]
    yield Block(start, data, chunk.times or ())
    if len(chunk.data) < chunk.size_bytes:
        yield from missing(start + len(data), chunk.size_bytes - len(chunk.data))


def fetched_together(frames: Sequence[Frame]) -> list[Frame]:
    found, size = [frames[0]], frames[0].size_bytes
    for frame in frames[1:]:
        size += frame.size_bytes
        if size > FETCHED_BYTES:
            break
        found.append(frame)
    return found


def fetch(store: Storage, chunk: Chunk, frames: Sequence[Frame], stored_at: int) -> list[bytes | None]:
    """What is stored of each; None for what is not there any more."""
    lengths = [frame.stored_bytes + frame.times_bytes for frame in frames]
    end = stored_at + sum(lengths)
    stored = (
        (chunk.packed or b"")[stored_at:end] if chunk.key is None else part(store, chunk.key, stored_at, end)
    )
    if stored is None:
        return [None] * len(frames)
    found: list[bytes | None] = []
    at = 0
    for length in lengths:
        found.append(stored[at : at + length])
        at += length
    return found


def part(store: Storage, key: str, start: int, end: int) -> bytes | None:
    """A store that does not answer is not one that has lost something."""
    try:
        return b"".join(store.read(key, (start, end)))
    except NotFound:
        return None
    except StorageError as error:
        try:
            size = store.size_of(key)
        except StorageError:
            size = end
        if size is not None and size >= end:
            raise Unavailable(f"The store of files does not answer: {error}") from error
        return None


def of_frame(frame: Frame, stored: bytes | None, at: int, start: int) -> Iterator[Block]:
    skipped = max(0, start - at)
    try:
        piece = log_frames.decompress(frame, stored) if stored is not None else None
    except Damaged:
        piece = None
    if piece is None:
        lost = next(missing(at, frame.size_bytes, frame.newlines))
        yield Block(at + skipped, lost.data[skipped:], is_missing=True)
    else:
        yield Block(at + skipped, piece.data[skipped:], absolute(piece, at))


def absolute(piece: Piece, at: int) -> list[int]:
    return [number + at if even % 2 == 0 else number for even, number in enumerate(piece.times)]


# --- places of lines ---------------------------------------------------------------------------------


def mark_of_line(session: Session, source_id: UUID, number: int, size_bytes: int) -> Mark:
    """Not after the beginning of this line, and not far before it. Lines count from 1.

    How many lines end before a row only grows from row to row, so few of them are looked at.
    """
    wanted = number - 1
    low, high, best = 0, size_bytes, Mark(0, 0)
    while wanted > 0 and low < high:
        middle = (low + high) // 2
        row = at_byte(session, source_id, middle)
        if row is None:
            low = middle + 1
            continue
        offset, size, newlines, frames = row
        if newlines is None or newlines >= wanted:
            high = offset
            continue
        best, low = Mark(offset, newlines), max(offset + size, middle + 1)
        if frames is not None:
            place = log_frames.place_of_newline(log_frames.frames_of(frames), wanted - newlines)
            best = Mark(offset + place.offset, newlines + place.newlines)
    return best


def mark_of_byte(session: Session, source_id: UUID, offset: int) -> Mark:
    """At or before this byte."""
    row = at_byte(session, source_id, offset, is_counted=True)
    if row is None:
        return Mark(0, 0)
    begins, _, newlines, frames = row
    if frames is None:
        return Mark(begins, newlines or 0)
    place = log_frames.place_of_byte(log_frames.frames_of(frames), offset - begins)
    return Mark(begins + place.offset, (newlines or 0) + place.newlines)


def at_byte(
    session: Session, source_id: UUID, offset: int, *, is_counted: bool = False
) -> tuple[int, int, int | None, bytes | None] | None:
    """The row that begins there, or the last before."""
    asked = {"id": source_id, "offset": offset, "counted": is_counted}
    found = questions.ask(session, AT_BYTE, asked)
    return tuple(found[0]) if found else None
