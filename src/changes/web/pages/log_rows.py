"""Lines of a log as rows to draw: in colours, with headings, what was looked for, and times. Pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from changes.results.log_finding import Pattern
from changes.results.log_reading import Line
from changes.web.pages import ansi, log_groups
from changes.web.pages.ansi import Piece
from changes.web.pages.log_groups import Kind, Mark

MATCH_CLASS = "log-match"
MATCHES_MAX = 50
# What the agent says where it left out a part of a log that is too large.
LEFT_OUT = re.compile(
    rb"\[(?:This log grows too large: from here on only its end is kept|[\d,]{1,30} bytes were left out here)"
)
SECOND_MS, MINUTE_MS, HOUR_MS = 1000, 60_000, 3_600_000
# Between two lines; less is nothing that anybody waited for.
PAUSE_MIN_MS = 50
SINCE_START, SINCE_LINE, CLOCK = "start", "line", "clock"
HEADINGS = frozenset({Kind.COMMAND, Kind.HEADING, Kind.BEGIN})


class Moment(NamedTuple):
    at_ms: int | None
    since_ms: int | None
    words: str


UNTOLD = Moment(None, None, "")


class Row(NamedTuple):
    """`kind` is empty, or head, end or hole. `at_ms` counts from the beginning of the log, `since_ms` from
    the line before; `time` is what is shown of them. `left_out` says how much of a long line is not shown.
    """

    number: int
    pieces: ansi.Line
    kind: str = ""
    at_ms: int | None = None
    since_ms: int | None = None
    time: str = ""
    left_out: str = ""
    is_wrong: bool = False
    is_open: bool = False


@dataclass(frozen=True)
class Manner:
    """How rows are drawn: what the commands of the step are called, when the log began, which times are
    shown, which lines tell of errors, what is looked for.
    """

    commands: Collection[str] = ()
    began_ms: int | None = None
    times: str = ""
    wrong: Collection[int] = ()
    sought: Pattern | None = None


def rows(lines: Sequence[Line], first: int, last: int, manner: Manner) -> list[Row]:
    """Numbers `first` to `last`. Lines before them tell what colour goes on and when the line before was
    printed, and one after them whether the last is a heading.
    """
    texts = [ansi.decoded(line.text) for line in lines]
    numbered = [(line.number, text) for line, text in zip(lines, texts, strict=True)]
    marks = {mark.line: mark for mark in log_groups.marks(numbered, manner.commands)}
    style = ansi.style_after(text for number, text in numbered if number < first)
    times = dict(moments(lines, manner))
    found = []
    for line, text in zip(lines, texts, strict=True):
        if first <= line.number <= last:
            mark = marks.get(line.number)
            is_heading = mark is not None and mark.kind in HEADINGS
            shown = ansi.draw(mark.title if mark and is_heading else text, style)
            style = shown.style
            found.append(row(line, shown, kind_of(line, mark), times.get(line.number, UNTOLD), manner))
    return found


def row(line: Line, shown: ansi.Drawn, kind: str, moment: Moment, manner: Manner) -> Row:
    return Row(
        line.number,
        matched(shown.pieces, manner.sought) if manner.sought else shown.pieces,
        kind,
        moment.at_ms,
        moment.since_ms,
        moment.words,
        left_out_words(shown.left_out, line.cut_bytes),
        line.number in manner.wrong,
        line.is_open,
    )


def kind_of(line: Line, mark: Mark | None) -> str:
    if line.is_missing or LEFT_OUT.match(line.text):
        return "hole"
    if mark is None:
        return ""
    return "head" if mark.kind in HEADINGS else "end"


def left_out_words(characters: int, bytes_cut: int) -> str:
    if bytes_cut:
        return f"{characters + bytes_cut:,} more bytes"
    return f"{characters:,} more characters" if characters else ""


# --- times -------------------------------------------------------------------------------------------


def moments(lines: Sequence[Line], manner: Manner) -> Iterator[tuple[int, Moment]]:
    """By the numbers of lines. A line that nobody told the time of has that of the line before."""
    began_ms = manner.began_ms or 0
    now: int | None = None
    for line in lines:
        since_ms = 0
        if line.time_ms is not None:
            since_ms = max(0, line.time_ms - now) if now is not None else 0
            now = line.time_ms if now is None else max(now, line.time_ms)
        if now is not None:
            at_ms = max(0, now - began_ms)
            yield line.number, Moment(at_ms, since_ms, time_words(at_ms, since_ms, began_ms, manner.times))


def time_words(at_ms: int, since_ms: int, began_ms: int, times: str) -> str:
    if times == SINCE_START:
        return since_start(at_ms)
    if times == SINCE_LINE:
        return since_line(since_ms)
    if times == CLOCK:
        return f"{datetime.fromtimestamp((began_ms + at_ms) / SECOND_MS, UTC):%H:%M:%S}"
    return ""


def since_start(at_ms: int) -> str:
    hours, minutes, seconds = at_ms // HOUR_MS, at_ms // MINUTE_MS % 60, at_ms // SECOND_MS % 60
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}.{at_ms % SECOND_MS // 100}"


def since_line(since_ms: int) -> str:
    if since_ms < PAUSE_MIN_MS:
        return ""
    if since_ms < MINUTE_MS:
        return f"+{since_ms / SECOND_MS:.1f} s"
    return f"+{since_ms // MINUTE_MS}:{since_ms // SECOND_MS % 60:02}"


# --- what is looked for ------------------------------------------------------------------------------


def matched(pieces: ansi.Line, sought: Pattern) -> ansi.Line:
    """What fits stands in pieces of its own."""
    spans = list(spans_of(sought, "".join(piece.text for piece in pieces)))
    return list(split(pieces, spans)) if spans else pieces


def spans_of(sought: Pattern, text: str) -> Iterator[tuple[int, int]]:
    """In characters; the engine counts bytes."""
    raw = text.encode()
    at = 0
    for _ in range(MATCHES_MAX):
        found = sought.search(raw, at)
        if found is None:
            return
        if found.end() > found.start():
            start = len(raw[: found.start()].decode("utf-8", "ignore"))
            yield start, start + len(raw[found.start() : found.end()].decode("utf-8", "ignore"))
        at = max(found.end(), at + 1)


def split(pieces: ansi.Line, spans: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    begin = 0
    for piece in pieces:
        end = begin + len(piece.text)
        at = begin
        for start, stop in spans:
            inside, outside = max(start, at), min(stop, end)
            if inside < outside:
                if inside > at:
                    yield Piece(piece.text[at - begin : inside - begin], piece.classes)
                text = piece.text[inside - begin : outside - begin]
                yield Piece(text, f"{piece.classes} {MATCH_CLASS}".strip())
                at = outside
        if at < end:
            yield Piece(piece.text[at - begin :], piece.classes)
        begin = end
