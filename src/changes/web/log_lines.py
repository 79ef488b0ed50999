"""A log that is being written, cut into lines as they are shown. Pure.

The last line may not be complete yet: it is shown, and shown again when more of it is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from changes.results.log_chunks import Block
from changes.results.log_following import Newest
from changes.results.log_reading import LINE_MAX_BYTES, Clock, Line

# So much of one line without an end is taken as a line; nothing longer is read twice.
OPEN_MAX_BYTES = 64 * 1024
# More are not seen at once; what was skipped is fetched when somebody looks for it.
LINES_MAX = 400


@dataclass(frozen=True)
class Place:
    """How far a reader has read: the beginning of the first line that is not complete, and its number; or
    within it, where it is too long to be read again.
    """

    offset: int
    line: int
    is_within: bool = False


@dataclass(frozen=True)
class News:
    """What follows a place, as it was printed; of too much the last lines."""

    lines: list[Line]
    end: Place

    @property
    def total(self) -> int:
        """How many lines there are now."""
        has_begun = self.end.is_within or (bool(self.lines) and self.lines[-1].is_open)
        return self.end.line if has_begun else self.end.line - 1


def read_on(place: Place, newest: Newest) -> News:
    """What begins within a line is passed over: its beginning was shown, or is fetched."""
    start, data = newest.start, newest.data
    number = place.line if start == place.offset else (newest.newlines_before or 0) + 1
    if place.is_within or start > place.offset:
        begin = data.find(b"\n") + 1
        if not begin:
            return News([], Place(start + len(data), number, is_within=True))
        number, start, data = number + 1, start + begin, data[begin:]
    pieces = data.split(b"\n")
    rest = pieces.pop()
    end = Place(start + len(data) - len(rest), number + len(pieces))
    if len(rest) > OPEN_MAX_BYTES:
        end = Place(start + len(data), end.line, is_within=True)
    found = list(cut([*pieces, rest] if rest else pieces, number, start, newest.times))
    if rest:
        found[-1] = replace(found[-1], is_open=True)
    return News(found[-LINES_MAX:], end)


def cut(pieces: Iterable[bytes], number: int, start: int, times: Sequence[int]) -> Iterator[Line]:
    clock = Clock(Block(start, b"", times))
    for line, piece in enumerate(pieces, number):
        yield Line(line, start, piece[:LINE_MAX_BYTES], len(piece), clock.at(start))
        start += len(piece) + 1
