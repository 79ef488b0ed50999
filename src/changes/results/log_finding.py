"""Lines of a log that match, over all of it and in linear time whatever somebody asks for.

The engine is RE2, which knows no look-around and no references back. A pattern never reaches over the end
of a line. Colours that a program printed stand in nobody's way: they are left out before it is looked.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import NamedTuple, Protocol

import re2

from changes.base.db import Session
from changes.base.errors import Invalid, Unavailable
from changes.results import log_reading
from changes.results.log_chunks import Block
from changes.results.log_reading import Line, Source

PATTERN_MAX_CHARS = 1_000
FOUND_MAX = 5_000
# A line that is longer than this is looked through in parts.
CARRIED_MAX_BYTES = 1024 * 1024
# How much memory the engine may use for one pattern.
# What is larger is refused: it would make the engine slow.
ENGINE_MAX_BYTES = 1024 * 1024
SLICE_BYTES = 64 * 1024
# Who look at once in one process: as many others always find a thread.
LOOKING_MAX, LOOKING_WAIT_S = 8, 5.0
looking = BoundedSemaphore(LOOKING_MAX)
ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))")


class Match(Protocol):
    def start(self) -> int: ...
    def end(self) -> int: ...


class Pattern(Protocol):
    def search(self, text: bytes, pos: int = 0) -> Match | None: ...


@dataclass(frozen=True)
class Wanted:
    pattern: str
    is_regex: bool = False
    ignore_case: bool = False


@dataclass(frozen=True)
class Within:
    """Lines after this one, not more of them than this, and not longer looked for than this."""

    after_line: int = 0
    limit: int = 1_000
    budget_s: float = 10.0


@dataclass(frozen=True)
class Found:
    """The lines that match, up to the line with the number `searched_to`; whoever wants more asks again for
    those after it. Complete is what reached the end of the log.
    """

    lines: list[Line]
    searched_to: int
    is_complete: bool


def compiled(wanted: Wanted) -> Pattern:
    if not wanted.pattern or len(wanted.pattern) > PATTERN_MAX_CHARS:
        raise Invalid(f"What to look for has 1 to {PATTERN_MAX_CHARS:,} characters.", ["q"])
    if "\n" in wanted.pattern and not wanted.is_regex:
        raise Invalid("What to look for stands on one line.", ["q"])
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    options.max_mem = ENGINE_MAX_BYTES
    options.case_sensitive = not wanted.ignore_case
    options.literal = not wanted.is_regex
    text = f"(?m){wanted.pattern}" if wanted.is_regex else wanted.pattern
    try:
        found: Pattern = re2.compile(text.encode(), options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        why = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        raise Invalid(f"The regular expression cannot be read: {why}.", ["q"]) from None
    return found


def find(session: Session, source: Source, wanted: Wanted, within: Within | None = None) -> Found:
    search = Search(compiled(wanted), within or Within())
    if not looking.acquire(timeout=LOOKING_WAIT_S):
        raise Unavailable("Too many look through logs at this moment; ask again.")
    try:
        return search.through(session, source)
    finally:
        looking.release()


@dataclass(frozen=True)
class Body:
    """Whole lines, from this number and byte on; or a part of a line that is very long."""

    number: int
    data: bytes
    block: Block
    continues: bool = False


class Search:
    """One walk through a log."""

    def __init__(self, pattern: Pattern, within: Within) -> None:
        self._pattern, self._within = pattern, within
        self._limit = min(within.limit, FOUND_MAX)
        self._lines: list[Line] = []
        self._bytes = 0

    def through(self, session: Session, source: Source) -> Found:
        ends_at = time.monotonic() + self._within.budget_s
        searched_to = self._within.after_line
        for body in bodies(session, source, searched_to + 1):
            for line in self._in(body):
                self._add(session, source, line, continues=body.continues and line.number == body.number)
                if len(self._lines) >= self._limit or self._bytes >= log_reading.LINES_MAX_BYTES:
                    return Found(self._lines, line.number, is_complete=False)
            searched_to = body.number + body.data.count(b"\n") - body.data.endswith(b"\n")
            if time.monotonic() >= ends_at:
                return Found(self._lines, searched_to, is_complete=False)
        return Found(self._lines, searched_to, is_complete=True)

    def _add(self, session: Session, source: Source, line: Line, *, continues: bool) -> None:
        if self._lines and self._lines[-1].number == line.number:
            return
        # Of a very long line only a part is at hand.
        whole = log_reading.lines(session, source, line.number, 1) if continues else [line]
        self._lines += whole
        self._bytes += sum(len(each.text) for each in whole)

    def _in(self, body: Body) -> Iterator[Line]:
        shown = ESCAPES.sub(b"", body.data) if b"\x1b" in body.data else body.data
        clock = log_reading.Clock(body.block)
        place, counted, at = Place(body.data), 0, 0
        number = body.number
        while at < len(shown) and (match := self._pattern.search(shown, at)):
            start = match.start()
            if start >= len(shown):
                return
            further = shown.count(b"\n", counted, start)
            number, counted = number + further, start
            begin, end = place.move(further)
            offset = body.block.offset + begin
            text = body.data[begin : min(end, begin + log_reading.LINE_MAX_BYTES)]
            yield Line(number, offset, text, end - begin, clock.at(offset))
            at = shown.find(b"\n", start) + 1
            if not at:
                return


class Place:
    """Where lines are in bytes of which another form was looked through."""

    def __init__(self, data: bytes) -> None:
        self._data, self._begin = data, 0

    def move(self, lines: int) -> tuple[int, int]:
        for _ in range(lines):
            self._begin = self._data.index(b"\n", self._begin) + 1
        end = self._data.find(b"\n", self._begin)
        return self._begin, len(self._data) if end < 0 else end


def bodies(session: Session, source: Source, first: int) -> Iterator[Body]:
    """All lines from this one on. A slice is short, so that nobody looks long before he can stop."""
    text = log_reading.text_of(session, source)
    mark = text.mark_of_line(first)
    number, rest = mark.newlines + 1, Rest(b"", mark.offset)
    continues = False
    for block in text.blocks(mark.offset):
        joined = rest.data + block.data
        times = [*rest.times, *block.times]
        at = 0
        while at < len(joined):
            end = slice_end(joined, at)
            if not end:
                break
            body = Body(number, joined[at:end], Block(rest.offset + at, b"", times), continues)
            continues = not body.data.endswith(b"\n")
            number += body.data.count(b"\n")
            at = end
            if number > first or (number == first and continues):
                yield from_line(body, first)
        offset = rest.offset + at
        begun = log_reading.Clock(Block(0, b"", times)).at(offset)
        rest = Rest(joined[at:], offset, () if begun is None else (offset, begun))
    if rest.data and number >= first:
        yield Body(number, rest.data, Block(rest.offset, b"", rest.times), continues)


class Rest(NamedTuple):
    """The beginning of a line of which the end is not here yet."""

    data: bytes
    offset: int
    times: Sequence[int] = ()


def slice_end(data: bytes, start: int) -> int:
    """Where some whole lines end; nothing where not even one does and more of it may come."""
    end = data.rfind(b"\n", start, start + SLICE_BYTES) + 1 or data.find(b"\n", start) + 1
    if not end and len(data) - start > CARRIED_MAX_BYTES:
        return len(data)
    return end


def from_line(body: Body, first: int) -> Body:
    """Without the lines before it."""
    at = 0
    for _ in range(first - body.number):
        at = body.data.index(b"\n", at) + 1
    if not at:
        return body
    return Body(first, body.data[at:], body.block._replace(offset=body.block.offset + at))
