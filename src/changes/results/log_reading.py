"""Reading a log by bytes, by lines, from its end and by what stands in it, however it is stored.

It may be the log of a step, which may still grow, or a file that a step left behind. Lines count from 1 and
end with a newline; the last one may be without. Everything here reads as much as is asked for and no more,
and holds a few megabytes at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from changes.base import storage
from changes.base.db import Session
from changes.results import file_marks, log_chunks
from changes.results.file_marks import File
from changes.results.log_chunks import Block, Mark
from changes.results.models import Artifact, LogSource

# A longer line is shown by its beginning.
LINE_MAX_BYTES = 16 * 1024
# So many lines, and so many bytes of them, are given at once; at least one line is.
LINES_MAX, LINES_MAX_BYTES = 5_000, 4 * 1024 * 1024

Source: TypeAlias = LogSource | Artifact


@dataclass(frozen=True)
class Line:
    """`text` are its first bytes, without the newline; `size_bytes` is how long it is. `time_ms` is when it
    was printed, since 1970, where that was told. An open line may still grow. A missing one was lost, and
    its text says so.
    """

    number: int
    offset: int
    text: bytes
    size_bytes: int
    time_ms: int | None = None
    is_open: bool = False
    is_missing: bool = False

    @property
    def cut_bytes(self) -> int:
        return self.size_bytes - len(self.text)


class LogText(Protocol):
    """What can be read as a log."""

    @property
    def size_bytes(self) -> int: ...

    def newlines(self) -> int | None:
        """How many there are, where somebody has counted them."""

    def blocks(self, start: int) -> Iterator[Block]:
        """All bytes from this one on, in order and without holes."""

    def mark_of_line(self, number: int) -> Mark:
        """Not after the beginning of this line, from where it is found by counting."""

    def mark_of_byte(self, offset: int) -> Mark:
        """Not after this byte."""


def line_count(session: Session, source: Source) -> int:
    """With the last line that has no end yet, if there is one."""
    text = text_of(session, source)
    size, counted = text.size_bytes, text.newlines()
    if counted is None:
        counted = newlines_between(text, Mark(0, 0), size)
    return counted + (size > 0 and b"".join(between(text, size - 1, size)) != b"\n")


def lines(session: Session, source: Source, first: int, count: int) -> list[Line]:
    """Lines from number `first` on. Fewer than asked for at the end of the log, or where they are long: then
    go on with the number after the last one.
    """
    text = text_of(session, source)
    return list(Lines(text, text.mark_of_line(max(1, first))).take(max(1, first), min(count, LINES_MAX)))


def tail(session: Session, source: Source, count: int) -> list[Line]:
    """The last lines."""
    total = line_count(session, source)
    return lines(session, source, max(1, total - count + 1), count)


def line_of_offset(session: Session, source: Source, offset: int) -> int:
    """The number of the line with this byte."""
    text = text_of(session, source)
    offset = max(0, min(offset, text.size_bytes))
    return newlines_between(text, text.mark_of_byte(offset), offset) + 1


def bytes_between(session: Session, source: Source, start: int, end: int) -> Iterator[bytes]:
    """In pieces. Where something is missing stand words of the same length."""
    return between(text_of(session, source), max(0, start), end)


def text_of(session: Session, source: Source) -> LogText:
    return StoredLog(session, source) if isinstance(source, LogSource) else StoredFile(source)


class StoredLog:
    """Of a step."""

    def __init__(self, session: Session, source: LogSource) -> None:
        self._session = session
        self._source_id = source.id
        # What was cleaned away is no hole.
        self._is_removed = source.date_removed is not None
        self._newlines = source.newlines
        self.size_bytes = 0 if self._is_removed else source.size_bytes

    def newlines(self) -> int | None:
        return 0 if self._is_removed else self._newlines

    def blocks(self, start: int) -> Iterator[Block]:
        """Not further than it was when we began: whoever wants more begins again."""
        at = start
        if self._is_removed:
            return
        for block in log_chunks.blocks_of(self._session, storage.storage.get(), self._source_id, start):
            if block.offset >= self.size_bytes:
                return
            at = block.offset + len(block.data)
            yield block if at <= self.size_bytes else block._replace(data=block.data[: self.size_bytes - at])
            if at >= self.size_bytes:
                return
        if at < self.size_bytes:
            yield from log_chunks.missing(at, self.size_bytes - at)

    def mark_of_line(self, number: int) -> Mark:
        return log_chunks.mark_of_line(self._session, self._source_id, number, self.size_bytes)

    def mark_of_byte(self, offset: int) -> Mark:
        return log_chunks.mark_of_byte(self._session, self._source_id, offset)


class StoredFile:
    """That a step left behind: one piece, of which nobody has counted the lines before."""

    def __init__(self, artifact: Artifact) -> None:
        self._file = File(artifact.sha256, artifact.key, artifact.size_bytes)
        self.size_bytes = 0 if artifact.date_removed is not None else artifact.size_bytes

    def newlines(self) -> int | None:
        return file_marks.of_file(self._file).newlines_in_all if self.size_bytes else 0

    def blocks(self, start: int) -> Iterator[Block]:
        at = start
        if start < self.size_bytes:
            for data in storage.storage.get().read(self._file.key, (start, self.size_bytes)):
                yield Block(at, data)
                at += len(data)

    def mark_of_line(self, number: int) -> Mark:
        return file_marks.of_file(self._file).of_line(number) if self.size_bytes else Mark(0, 0)

    def mark_of_byte(self, offset: int) -> Mark:
        return file_marks.of_file(self._file).of_byte(offset) if self.size_bytes else Mark(0, 0)


def between(text: LogText, start: int, end: int) -> Iterator[bytes]:
    if start >= end:
        return
    for block in text.blocks(start):
        if block.offset >= end:
            return
        yield block.data[: end - block.offset]


def newlines_between(text: LogText, mark: Mark, end: int) -> int:
    return mark.newlines + sum(data.count(b"\n") for data in between(text, mark.offset, end))


class Lines:
    """Cuts blocks into lines, from a mark on."""

    def __init__(self, text: LogText, mark: Mark) -> None:
        self._text, self._mark = text, mark
        self._number = mark.newlines + 1
        self._offset = mark.offset
        self._begin()

    def _begin(self) -> None:
        self._start = self._offset
        self._said = bytearray()
        self._size = 0
        self._time: int | None = None
        self._is_missing = False

    def take(self, first: int, count: int) -> Iterator[Line]:
        """Line `first` does not begin before the mark."""
        given = given_bytes = 0
        for block in self._text.blocks(self._mark.offset):
            clock = Clock(block)
            for line in self._cut(block, clock, first):
                yield line
                given, given_bytes = given + 1, given_bytes + len(line.text)
                if given >= count or given_bytes >= LINES_MAX_BYTES:
                    return
        if self._size and self._number >= first:
            yield self._line(is_open=True)

    def _cut(self, block: Block, clock: "Clock", first: int) -> Iterator[Line]:
        data = block.data
        at = self._passed_over(block, first)
        while at < len(data):
            end = data.find(b"\n", at)
            self._add(block, clock, at, len(data) if end < 0 else end)
            self._offset = block.offset + (len(data) if end < 0 else end + 1)
            if end < 0:
                return
            if self._number >= first:
                yield self._line()
            self._number += 1
            self._begin()
            at = end + 1

    def _passed_over(self, block: Block, first: int) -> int:
        """Lines before the first that is wanted are only counted."""
        at, before = 0, first - self._number
        if before <= 0:
            return 0
        newlines = block.data.count(b"\n")
        if newlines < before:
            self._number += newlines
            self._offset = block.offset + len(block.data)
            self._begin()
            return len(block.data)
        for _ in range(before):
            at = block.data.index(b"\n", at) + 1
        self._number = first
        self._offset = block.offset + at
        self._begin()
        return at

    def _add(self, block: Block, clock: "Clock", start: int, end: int) -> None:
        if self._time is None:
            self._time = clock.at(block.offset + start)
        self._is_missing |= block.is_missing
        room = LINE_MAX_BYTES - len(self._said)
        self._said += block.data[start : min(end, start + room)]
        self._size += end - start

    def _line(self, *, is_open: bool = False) -> Line:
        said = bytes(self._said)
        return Line(self._number, self._start, said, self._size, self._time, is_open, self._is_missing)


class Clock:
    """When the bytes of a block were read; asked for bytes in their order."""

    def __init__(self, block: Block) -> None:
        self._places, self._times = block.times[::2], block.times[1::2]
        self._next = 0

    def at(self, offset: int) -> int | None:
        while self._next < len(self._places) and self._places[self._next] <= offset:
            self._next += 1
        return self._times[self._next - 1] if self._next else None
