"""Where the lines of a chart stand: some figures of each day. Pure; the templates draw it.

The page's script may draw it once more, to be asked about with a pointer (assets/charts.ts).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from changes.web.pages.charts import PLOT_HEIGHT, SLOT_WIDTH
from changes.web.pages.columns import short_day

# How a number is told at the edge.
Words = Callable[[float], str]


@dataclass(frozen=True)
class Line:
    """`values` has one for each day; None is a gap."""

    name: str
    tone: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class LineChart:
    lines: Sequence[Line]
    days: Sequence[date]
    top: float
    edge: tuple[str, str, str]
    # What the numbers are, for the script: "s", "share", "count" or "bytes".
    unit: str

    @property
    def width(self) -> float:
        return max(1, len(self.days) - 1) * SLOT_WIDTH

    @property
    def first(self) -> str:
        return short_day(self.days[0]) if self.days else ""

    @property
    def is_empty(self) -> bool:
        return all(value is None for line in self.lines for value in line.values)

    def paths(self) -> list[tuple[Line, str]]:
        return [(line, path(line.values, self.top)) for line in self.lines]

    def told(self) -> dict[str, Any]:
        """As the script wants it: columns, the first of them seconds since 1970."""
        at = [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in self.days]
        names = [{"name": line.name, "tone": line.tone} for line in self.lines]
        columns = [at, *(line.values for line in self.lines)]
        return {"unit": self.unit, "top": self.top, "lines": names, "columns": columns}


def path(values: Sequence[float | None], top: float) -> str:
    """Broken where nothing is known; a day that stands alone is a short stroke."""
    pieces, is_down = [], False
    for index, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        x = round(index * SLOT_WIDTH, 2)
        y = round(PLOT_HEIGHT - PLOT_HEIGHT * min(value, top) / top, 2)
        pieces.append(f"L{x} {y}" if is_down else f"M{x} {y}h.1")
        is_down = True
    return "".join(pieces)


def chart(
    days: Sequence[date],
    lines: Sequence[Line],
    tops: Sequence[float],
    unit: str,
    words: Callable[[float], str],
) -> LineChart:
    """Its top is the first of `tops` that is above everything."""
    most = max((value for line in lines for value in line.values if value is not None), default=0)
    top = next((each for each in tops if each >= most), most or 1)
    return LineChart(lines, days, top, (words(top), words(top / 2), words(0)), unit)
