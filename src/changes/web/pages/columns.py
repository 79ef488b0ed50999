"""Where the columns of a chart stand: one for each day, of any figure. Pure; the templates draw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from changes.web.pages.charts import BAR_WIDTH, LEAST_HEIGHT, PLOT_HEIGHT, SHORT_TOPS_S, SLOT_WIDTH, TOPS_S

EVEN, LEAST_TOP = (1, 2, 4, 6, 10), 2


@dataclass(frozen=True)
class Column:
    """`said` is all that a reader hears of it; without a value there is a gap."""

    value: float | None
    said: str
    tone: str = "passed"
    href: str = ""


@dataclass(frozen=True)
class PlacedColumn:
    column: Column
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class ColumnChart:
    """`edge` is what stands at the edge: its top, the half of it and its foot, as words."""

    columns: Sequence[PlacedColumn]
    width: float
    edge: tuple[str, str, str]
    first: str
    last: str


def top_of_counts(columns: Sequence[Column]) -> float:
    """A round figure above all of them, and even, because the half of it is written too."""
    most = max((LEAST_TOP, *(column.value or 0 for column in columns)))
    power = 10 ** (len(str(int(most))) - 1)
    return float(next(factor * power for factor in EVEN if factor * power >= most))


def top_of_seconds(columns: Sequence[Column]) -> float:
    longest = max((column.value or 0 for column in columns), default=0)
    return float(next((top for top in (*SHORT_TOPS_S, *TOPS_S) if top >= longest), longest))


def placed(columns: Sequence[Column], top: float) -> list[PlacedColumn]:
    """What is nothing at all has no height; anything else can be seen."""
    found = []
    for index, column in enumerate(columns):
        value = min(column.value or 0.0, top)
        height = max(LEAST_HEIGHT, round(PLOT_HEIGHT * value / top, 2)) if value else 0.0
        x = round(index * SLOT_WIDTH + (SLOT_WIDTH - BAR_WIDTH) / 2, 2)
        found.append(PlacedColumn(column, x, round(PLOT_HEIGHT - height, 2), BAR_WIDTH, height))
    return found


def width_of(columns: Sequence[Column]) -> float:
    return max(1, len(columns)) * SLOT_WIDTH


def short_day(day: date) -> str:
    return f"{day.day} {day:%b}"
