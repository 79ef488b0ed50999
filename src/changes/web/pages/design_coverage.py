"""Coverage of a file that never was, for the living page of the design."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from changes.results.coverage.patch import Gap, GapLine
from changes.results.coverage.queries import Counts, Moment
from changes.results.formats.line_marks import COVERED, NOTHING, PARTIAL, UNCOVERED, Marks
from changes.web.pages import covered_lines
from changes.web.pages.covered_lines import CoveredFile

LINES = [
    "def refund(order: Order) -> Receipt:",
    "    if order.is_settled:",
    "        return book(order)",
    "    raise NotSettled(order.number)",
]
MARKS = Marks(executable=0b1111, covered=0b0101, partial=0b0010)
GAP = Gap(
    "payments/refund.py",
    4,
    4,
    [
        GapLine(2, LINES[1], PARTIAL, is_added=True),
        GapLine(3, LINES[2], COVERED, is_added=True),
        GapLine(4, LINES[3], UNCOVERED, is_added=True),
        GapLine(5, "", NOTHING, is_added=False),
    ],
    left_out=2,
)
SHARES = (812, 815, 814, 822, 831, 829, 840)
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


def sample() -> dict[str, Any]:
    return {
        "counts": Counts(831, 169),
        "states": covered_lines.STATES,
        "gap": GAP,
        "drawn": {"light": a_file(301), "dark": a_file(401)},
        "trend": covered_lines.trend([moment(number, share) for number, share in enumerate(SHARES, 1)]),
    }


def a_file(first: int) -> CoveredFile:
    """With numbers of its own, as each is an address."""
    drawn = covered_lines.drawn("payments/refund.py", LINES, MARKS)
    return replace(drawn, rows=[replace(row, number=row.number + first - 1) for row in drawn.rows])


def moment(number: int, covered: int) -> Moment:
    at = BEGAN + timedelta(days=number)
    return Moment(
        UUID(int=number), number, "A build", f"{number:040x}", at, Counts(covered, 1000 - covered), None
    )
