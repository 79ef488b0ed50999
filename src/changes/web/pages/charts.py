"""Where the bars of a chart stand. Pure geometry; the templates draw it.

No page may carry style attributes (see `drawing.POLICY`), so sizes travel as SVG attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from changes.web.pages.states import WAITING, State

# Heights people like to read at the edge of a chart of durations, in seconds.
TOPS_S = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400]
# Many tests take no second.
SHORT_TOPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
PLOT_HEIGHT = 100.0
SLOT_WIDTH = 10.0
BAR_WIDTH = 7.0
LEAST_HEIGHT = 2.0
TIMELINE_WIDTH = 1000.0
LEAST_SPAN = 3.0
# One failure among thousands must be seen.
LEAST_SHARE = 8.0
SHARE_GAP = 2.0


@dataclass(frozen=True)
class Point:
    """One bar: how long it took (None: not known yet), how it ended, what to call it."""

    seconds: float | None
    state: State
    label: str
    href: str = ""


@dataclass(frozen=True)
class Bar:
    point: Point
    x: float
    y: float
    width: float
    height: float


def top_of(points: Sequence[Point]) -> float:
    longest = max((point.seconds or 0 for point in points), default=0)
    tops = (*SHORT_TOPS_S, *TOPS_S) if longest else TOPS_S
    return float(next((top for top in tops if top >= longest), longest))


def bars(points: Sequence[Point]) -> list[Bar]:
    """From left to right in the order given; what has no duration stands as a stump."""
    top = top_of(points)
    placed = []
    for index, point in enumerate(points):
        height = max(LEAST_HEIGHT, round(PLOT_HEIGHT * (point.seconds or 0) / top, 2))
        x = round(index * SLOT_WIDTH + (SLOT_WIDTH - BAR_WIDTH) / 2, 2)
        placed.append(Bar(point, x, round(PLOT_HEIGHT - height, 2), BAR_WIDTH, height))
    return placed


def plot_width(points: Sequence[Point]) -> float:
    return max(1, len(points)) * SLOT_WIDTH


@dataclass(frozen=True)
class Span:
    """A part of a row of a timeline, in seconds since the start of the whole."""

    start_s: float
    end_s: float
    state: State
    label: str


def place(span: Span, total_s: float) -> tuple[float, float]:
    """Left edge and width out of `TIMELINE_WIDTH`; nothing is too short to be seen."""
    scale = TIMELINE_WIDTH / total_s if total_s > 0 else 0.0
    width = max(LEAST_SPAN, round((span.end_s - span.start_s) * scale, 2))
    return round(min(span.start_s * scale, TIMELINE_WIDTH - width), 2), width


def ran_s(spans: Sequence[Span]) -> float | None:
    """How long somebody worked on it; waiting does not count."""
    worked = [span.end_s - span.start_s for span in spans if span.state.tone != WAITING.tone]
    return sum(worked) if worked else None


def shares(parts: Sequence[tuple[State, int]]) -> list[tuple[State, int, float, float]]:
    """State, count, left edge and width of each part of a bar that is `TIMELINE_WIDTH` wide."""
    present = [(state, count) for state, count in parts if count]
    total = sum(count for _, count in present)
    # Every part gets the least that can be seen; the rest of the room is shared by count.
    room = TIMELINE_WIDTH - LEAST_SHARE * len(present) - SHARE_GAP * (len(present) - 1)
    placed, left = [], 0.0
    for state, count in present:
        width = LEAST_SHARE + room * count / total
        placed.append((state, count, round(left, 2), round(width, 2)))
        left += width + SHARE_GAP
    return placed
