"""A log that is being written, cut into lines as they are shown. Pure.

The last line may not be complete yet: it is shown, and shown again when more of it is known.
"""

from dataclasses import dataclass

# So much of one line without an end is taken as a line; nothing longer is read twice.
OPEN_MAX_BYTES = 64 * 1024
LINES_MAX = 2000


@dataclass(frozen=True)
class Place:
    """How far a reader has read: the beginning of the first line that is not complete, and its number."""

    offset: int
    line: int


@dataclass(frozen=True)
class News:
    """What follows a place, as it was printed. `first` is the number of the first of `lines`;
    `skipped_bytes` come before it.
    """

    lines: list[str]
    first: int
    skipped_bytes: int
    is_last_open: bool
    end: Place


def read_on(place: Place, start: int, data: bytes) -> News:
    """`data` begins at `start`, which is beyond the place when there was too much to read."""
    if start > place.offset:
        # It begins in the middle of a line, which is skipped with what came before.
        _, newline, whole = data.partition(b"\n")
        start, data = (start + len(data) - len(whole), whole) if newline else (start, data)
    head, newline, rest = data.rpartition(b"\n")
    if len(rest) > OPEN_MAX_BYTES:
        head, newline, rest = data, b"\n", b""
    complete = head.split(b"\n") if newline else []
    end = Place(start + len(data) - len(rest), place.line + len(complete))
    raw = [*complete, *([rest] if rest else [])]
    shown = raw[-LINES_MAX:]
    left_out = raw[: len(raw) - len(shown)]
    return News(
        lines=[line.decode("utf-8", "replace") for line in shown],
        first=place.line + len(left_out),
        skipped_bytes=start - place.offset + sum(len(line) + 1 for line in left_out),
        is_last_open=bool(rest),
        end=end,
    )
