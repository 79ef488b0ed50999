"""A log in parts that fit on a page: whole lines from some byte on, up to some byte, or the last ones.

A part is known by the byte it begins with, because that never changes while the log grows.
"""

from dataclasses import dataclass

from changes.base.db import Session
from changes.results import logparts
from changes.results.models import LogSource
from changes.web.pages import ansi
from changes.web.pages.ansi import Line

LINES_SHOWN = 500
TAIL_LINES = 20
BYTES_READ = 256 * 1024
# Lines further on are not counted: reading all that stands before them costs too much.
COUNTED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Cut:
    """Whole lines, and the bytes that they take: from `start` up to `end`."""

    lines: list[str]
    start: int
    end: int
    open_bytes: int = 0


@dataclass(frozen=True)
class LogPart:
    """`first` is the number of the first line; None where nobody counted those before it. The last line
    may not be complete yet: then `open_bytes` are its length.
    """

    lines: list[Line]
    first: int | None
    start: int
    end: int
    size_bytes: int
    open_bytes: int = 0

    @property
    def has_before(self) -> bool:
        return self.start > 0

    @property
    def has_after(self) -> bool:
        return self.end < self.size_bytes

    @property
    def last(self) -> int | None:
        return None if self.first is None else self.first + len(self.lines) - 1


def part(session: Session, source: LogSource, *, since: int | None, until: int | None) -> LogPart:
    """From byte `since` on, or up to byte `until`, or else the end of the log."""
    size = source.size_bytes
    if since is not None:
        begin = min(since, size)
        end = min(begin + BYTES_READ, size)
    else:
        end = size if until is None else min(until, size)
        begin = max(0, end - BYTES_READ)
    # Near the beginning all that stands before is read, too, to count its lines.
    is_counted = begin <= COUNTED_BYTES
    read_from = 0 if is_counted else begin
    data = logparts.window(session, source, read_from, end)
    before, shown = data[: begin - read_from], data[begin - read_from :]
    cut = from_start(shown, begin, size) if since is not None else to_end(shown, begin)
    first = None
    if is_counted:
        first = 1 + before.count(b"\n") + shown[: cut.start - begin].count(b"\n")
    return LogPart(ansi.lines(cut.lines), first, cut.start, cut.end, size, cut.open_bytes)


def from_start(data: bytes, start: int, size: int) -> Cut:
    """The first whole lines of `data`, which begins at `start`."""
    reaches_end = start + len(data) >= size
    pieces = data.split(b"\n")
    rest = pieces.pop()
    shown = pieces[:LINES_SHOWN]
    taken = sum(len(piece) + 1 for piece in shown)
    if len(pieces) <= LINES_SHOWN and rest and (reaches_end or not pieces):
        # The last line has no end yet; and one that fills the whole page is cut, or there is no way on.
        shown, taken = [*shown, rest], taken + len(rest)
    return Cut([text_of(piece) for piece in shown], start, start + taken)


def to_end(data: bytes, start: int, lines_max: int = LINES_SHOWN) -> Cut:
    """The last whole lines of `data`, which begins at `start`, perhaps in the middle of a line."""
    end = start + len(data)
    pieces = data.split(b"\n")
    open_bytes = len(pieces[-1])
    if not open_bytes:
        pieces.pop()
        data = data[:-1]
    if start > 0 and len(pieces) > 1:
        pieces = pieces[1:]
    shown = pieces[-lines_max:]
    length = sum(len(piece) for piece in shown) + max(0, len(shown) - 1)
    return Cut([text_of(piece) for piece in shown], start + len(data) - length, end, open_bytes)


def text_of(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")


def tail(data: bytes, *, is_whole: bool) -> list[Line]:
    """The last lines of a console, from its last bytes."""
    return ansi.lines(to_end(data, 0 if is_whole else 1, TAIL_LINES).lines)
