"""Lines of a file with whether they ran, and the way of a project's coverage as a line. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from changes.results.coverage.queries import Moment
from changes.results.formats.line_marks import COVERED, NOTHING, PARTIAL, UNCOVERED, Marks, lines_in
from changes.web.pages import diffs, highlight, links
from changes.web.pages.charts import PLOT_HEIGHT, SLOT_WIDTH
from changes.web.pages.highlight import Block, Piece
from changes.web.pages.links import COVERED_PART_LINES

SPANS_SHOWN = 60
PERCENT = 100
# Of the scale, in points; and how it is rounded.
LEAST_HEIGHT, STEP = 5, 5


@dataclass(frozen=True)
class State:
    """How a line is told apart: by a word, a sign and a colour."""

    name: str
    sign: str
    word: str


STATES = {
    COVERED: State("covered", "✓", "ran"),
    PARTIAL: State("partial", "◐", "ran, but not every branch of it"),
    UNCOVERED: State("uncovered", "✗", "did not run"),
    NOTHING: State("nothing", "", ""),
}


@dataclass(frozen=True)
class Row:
    number: int
    pieces: Sequence[Piece]
    state: State


@dataclass(frozen=True)
class CoveredFile:
    rows: Sequence[Row]
    line_count: int
    part: int
    part_count: int


@dataclass(frozen=True)
class Span:
    """Lines one after the other that did not run; in which part of the file they begin."""

    first: int
    last: int
    part: int


def drawn(path: str, lines: Sequence[str], marks: Marks, part: int = 1) -> CoveredFile:
    part_count = max(1, -(-len(lines) // COVERED_PART_LINES))
    part = min(max(1, part), part_count)
    start = (part - 1) * COVERED_PART_LINES
    # All of it, as what begins a comment may stand above this part.
    told = highlight.coloured([Block(highlight.language_of(path), lines)])[0]
    rows = [
        Row(number, diffs.readable(pieces), STATES[marks.state(number)])
        for number, pieces in enumerate(told[start : start + COVERED_PART_LINES], start + 1)
    ]
    return CoveredFile(rows, len(lines), part, part_count)


def spans(marks: Marks) -> list[Span]:
    """The first of those that did not run; a line without code between two does not part them."""
    found: list[Span] = []
    uncovered = marks.uncovered
    for line in lines_in(uncovered):
        between = ((1 << (line - 1)) - 1) & ~((1 << found[-1].last) - 1) if found else 0
        if found and not marks.executable & between:
            found[-1] = Span(found[-1].first, line, found[-1].part)
        elif len(found) == SPANS_SHOWN:
            break
        else:
            found.append(Span(line, line, links.part_of(line)))
    return found


# --- through the commits ------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    moment: Moment
    x: float
    y: float


@dataclass(frozen=True)
class Trend:
    """`edge` is what stands at the edge: the top of the scale, its middle and its foot."""

    points: Sequence[Point]
    path: str
    width: float
    edge: tuple[str, str, str]


def trend(moments: Sequence[Moment]) -> Trend:
    """Not from nought to hundred, where no change could be seen; the edge tells from where to where."""
    shares = [(each.counts.share or 0) * PERCENT for each in moments]
    foot = max(0, int(min(shares, default=0) // STEP) * STEP)
    top = min(PERCENT, -(-int(max(shares, default=0) + 1) // STEP) * STEP)
    foot = max(0, min(foot, top - LEAST_HEIGHT))
    points = [
        Point(
            moment,
            round(index * SLOT_WIDTH + SLOT_WIDTH / 2, 2),
            round(PLOT_HEIGHT * (top - share) / (top - foot), 2),
        )
        for index, (moment, share) in enumerate(zip(moments, shares, strict=True))
    ]
    path = "".join(f"{'L' if index else 'M'}{point.x} {point.y}" for index, point in enumerate(points))
    edge = (f"{top} %", f"{(top + foot) / 2:g} %", f"{foot} %")
    return Trend(points, path, max(1, len(points)) * SLOT_WIDTH, edge)
