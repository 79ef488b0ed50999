"""A log as pages show it: a part that fits on one, and what is looked for in all of it.

Parts are whole blocks of lines, which the script keeps (assets/log_blocks.ts); so a part that it asks for and
one that stands on a page are the same.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Request
from pydantic import Field

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.results import log_finding, log_reading
from changes.results.log_finding import Pattern, Wanted, Within
from changes.results.log_reading import Line, Source
from changes.results.models import LogSource
from changes.web.pages import ansi, log_rows
from changes.web.pages.log_rows import Manner, Row
from changes.web.params import Flag, Parameters

BLOCK_LINES = 250
PAGE_BLOCKS = 2
# So many lines before a block tell what colour goes on in it.
LOOK_BACK = 50
FOUND_AT_ONCE = 200
LOOK_MAX_S = 4.0
TAIL_LINES = 20
TASTE_COOKIE = "changes_log"
TIMES = (log_rows.SINCE_START, log_rows.SINCE_LINE, log_rows.CLOCK)
Number = Annotated[int | None, Field(ge=1, lt=2**53)]


class Sought(Parameters):
    """What is looked for, in the lines after one."""

    q: str = ""
    regex: Flag = False
    case: Flag = False
    after: Annotated[int, Field(ge=0, lt=2**53)] = 0

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.q, is_regex=self.regex, ignore_case=not self.case)


class Asked(Sought):
    """Which log of a step, which line of it; and how it is shown, where that is not said by a cookie."""

    stream: str = ""
    line: Number = None
    times: Annotated[str | None, Field(pattern="^(start|line|clock|)$")] = None
    wrap: Flag | None = None


@dataclass(frozen=True)
class Taste:
    """What a reader likes to see."""

    times: str = ""
    is_wrapped: bool = False


@dataclass(frozen=True)
class Shown:
    """Some rows of a log, of `total` lines; `target` is the line that was asked for."""

    rows: list[Row]
    total: int
    size_bytes: int
    target: int | None = None
    end: Line | None = None

    @property
    def first(self) -> int:
        return self.rows[0].number if self.rows else 1

    @property
    def last(self) -> int:
        return self.rows[-1].number if self.rows else 0

    @property
    def before(self) -> int | None:
        return max(1, self.first - BLOCK_LINES * PAGE_BLOCKS) if self.first > 1 else None

    @property
    def after(self) -> int | None:
        return self.last + 1 if self.last < self.total else None


@dataclass(frozen=True)
class Search:
    """What was looked for and found. `problem` says why nothing could be."""

    sought: Sought
    rows: list[Row] = field(default_factory=list)
    searched_to: int = 0
    is_complete: bool = True
    problem: str = ""


def taste(request: Request, asked: Asked) -> Taste:
    """What the address says goes before what the browser remembers."""
    kept = request.cookies.get(TASTE_COOKIE, "").split(".")
    times = next((word for word in kept if word in TIMES), "")
    is_wrapped = "wrap" in kept if asked.wrap is None else asked.wrap
    return Taste(times if asked.times is None else asked.times, is_wrapped)


# --- rows --------------------------------------------------------------------------------------------


def shown(session: Session, source: Source, line: int | None, manner: Manner) -> Shown:
    """The page with this line, or else the end of the log."""
    known = source.newlines if isinstance(source, LogSource) else None
    # Whether a last line without an end follows is seen when it is read.
    upmost = log_reading.line_count(session, source) if known is None else known + 1
    wanted = upmost if line is None else min(line, upmost)
    begin = block_of(wanted) - (PAGE_BLOCKS - 1 if line is None else 0)
    first = max(0, begin) * BLOCK_LINES + 1
    last = min(upmost, first + PAGE_BLOCKS * BLOCK_LINES - 1)
    lines = read(session, source, first, last)
    ends = last == upmost and bool(lines)
    total = lines[-1].number if ends else log_reading.line_count(session, source)
    target = None if line is None else max(1, min(line, total))
    rows = log_rows.rows(lines, first, last, manner)
    return Shown(rows, total, source.size_bytes, target, lines[-1] if ends else None)


def counted(session: Session, source: Source) -> Shown:
    """Nothing of it but how long it is."""
    return Shown([], log_reading.line_count(session, source), source.size_bytes)


def block_of(line: int) -> int:
    return max(0, line - 1) // BLOCK_LINES


def block(session: Session, source: Source, number: int, manner: Manner) -> list[Row]:
    first = number * BLOCK_LINES + 1
    last = first + BLOCK_LINES - 1
    return log_rows.rows(read(session, source, first, last), first, last, manner)


def read(session: Session, source: Source, first: int, last: int) -> list[Line]:
    """With some before and one after them. Long lines come in several helpings."""
    at, found = max(1, first - LOOK_BACK), list[Line]()
    while at <= last:
        wanted = last + 1 - at + 1
        more = log_reading.lines(session, source, at, wanted)
        found += more
        is_short = sum(len(line.text) for line in more) < log_reading.LINES_MAX_BYTES
        if not more or (len(more) < wanted and is_short):
            break
        at = more[-1].number + 1
    return found


def tail(data: bytes, *, is_whole: bool) -> list[ansi.Line]:
    """The last lines of a console, from its last bytes."""
    pieces = data.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    if not is_whole and len(pieces) > 1:
        pieces = pieces[1:]
    return ansi.lines(ansi.decoded(piece) for piece in pieces[-TAIL_LINES:])


# --- search ------------------------------------------------------------------------------------------


def pattern_of(sought: Sought) -> tuple[Pattern | None, str]:
    """What rows are to be compared with, or why nothing can be looked for."""
    if not sought.q:
        return None, ""
    try:
        return log_finding.compiled(sought.wanted), ""
    except Invalid as error:
        return None, str(error)


def search(session: Session, source: Source, sought: Sought, manner: Manner) -> Search:
    pattern, problem = pattern_of(sought)
    if pattern is None:
        return Search(sought, problem=problem)
    within = Within(sought.after, FOUND_AT_ONCE, LOOK_MAX_S)
    found = log_finding.find(session, source, sought.wanted, within)
    plain = replace(manner, sought=pattern)
    drawn = [log_rows.rows([line], line.number, line.number, plain)[0] for line in found.lines]
    return Search(sought, drawn, found.searched_to, found.is_complete)
