"""The living page of the design: every token, state and component as it really is, in both themes."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from changes.base import clock, ids
from changes.people.models import User
from changes.projects.models import Comment
from changes.results.card_models import Card
from changes.web import call
from changes.web.pages import (
    columns,
    design_builds,
    design_coverage,
    design_logs,
    diffs,
    drawing,
    highlight,
    lines,
    markdown,
    phrasing,
    states,
)
from changes.web.pages.charts import Point, Span
from changes.web.pages.columns import Column, ColumnChart
from changes.web.pages.files import FileDrawn, Row
from changes.web.pages.lines import Line, LineChart
from changes.web.pages.states import State

pages = APIRouter()
TONES = [
    "passed",
    "failed",
    "infra",
    "aborted",
    "waiting",
    "running",
    "collecting",
    "quarantined",
    "quiet",
    "accent",
]
A_FILE = [
    "def refund(order: Order) -> Receipt:",
    '    """Once, whatever is asked."""',
    "    with ledger.lock(order.id):",
    "        return book(order)  # noted by its number",
]
A_DIFF = """\
diff --git a/payments/refund.py b/payments/refund.py
--- a/payments/refund.py
+++ b/payments/refund.py
@@ -41,7 +41,8 @@ def refund(order, amount):
     if order.is_settled:
         ledger = open_ledger(order.currency)
-        ledger.book(-amount)
+        with ledger.locked():
+            ledger.book(-amount, reference=order.number)
     return Receipt(order, amount)
"""
A_LOG = [
    "$ pytest -q tests/payments",
    "........................................................ [ 61%]",
    "....F............................",
    "E   AssertionError: assert Decimal('-12.50') == Decimal('12.50')",
    "tests/payments/test_refund.py:88: AssertionError",
    "1 failed, 92 passed in 14.21s",
]
A_CARD = """\
It grew by **12 kB**, mostly `vendor.js`.

| File | Now | Changed |
|:--|--:|--:|
| `app.js` | 412 kB | +2 kB |
| `vendor.js` | 1,290 kB | +10 kB |
"""
# How long each of the last builds took, and how it ended: one letter each.
HISTORY_S = [
    212,
    198,
    240,
    225,
    61,
    230,
    219,
    244,
    260,
    251,
    238,
    470,
    233,
    229,
    241,
    88,
    236,
    244,
    239,
    252,
    120,
]
HISTORY = "PPPPFPPPPPPIPPPAPPFPR"
ENDINGS = {
    "P": states.PASSED,
    "F": states.FAILED,
    "I": states.INFRA,
    "A": states.ABORTED,
    "R": states.RUNNING,
}


@pages.get("/design")
def design(request: Request) -> Response:
    with call.reading(request):
        return drawing.page(request, "design.html", {"url": request.url, **samples()})


def samples() -> dict[str, Any]:
    return {
        "sample": design_builds.sample(clock.now()),
        "states": states.ALL,
        "tones": TONES,
        "icons": [name for name in drawing.shapes() if not name.startswith("state-")],
        "moment": clock.now() - timedelta(minutes=5),
        "long_ago": clock.now() - timedelta(days=70),
        "points": history(),
        "column_chart": figures_of_days(),
        "line_chart": times_of_days(),
        "timeline": timeline(),
        "test_parts": [
            (states.PASSED, 1182),
            (states.FAILED, 3),
            (states.QUARANTINED_FAILED, 4),
            (states.SKIPPED, 41),
        ],
        **texts(),
    }


def texts() -> dict[str, Any]:
    """What machines and people have written."""
    return {
        "diff": diffs.drawn(diffs.parse(A_DIFF)),
        "long_diff": diffs.Drawn([], 1, 2, 7, has_asked=False, beside=frozenset()),
        "files": {"light": a_file("light", 1), "dark": a_file("dark", 201)},
        "remarks": {side: remark() for side in ("light", "dark")},
        "log": A_LOG,
        "view": {"light": design_logs.viewer(410), "dark": design_logs.viewer(510)},
        "card": {side: Card(key=f"size-{side}", title="Size of the bundle") for side in ("light", "dark")},
        "card_text": markdown.drawn(A_CARD),
        "covered": design_coverage.sample(),
    }


def a_file(side: str, first: int) -> FileDrawn:
    told = highlight.coloured([highlight.Block("python", A_FILE)])[0]
    rows = [Row(number, pieces, number == first + 2) for number, pieces in enumerate(told, first)]
    return FileDrawn(f"payments/{side}.py", rows, len(rows), 2, 7)


def remark() -> Comment:
    text = "Should this not be booked after the receipt?\n\nA second thread may read the ledger in between."
    user = User(email="dagny@orbit.example")
    return Comment(id=ids.new(), user=user, text=text, date_created=clock.now() - timedelta(hours=3))


def history() -> list[Point]:
    return [
        Point(seconds, ENDINGS[letter], f"Build #{number}", f"#bar-{number}")
        for number, (seconds, letter) in enumerate(zip(HISTORY_S, HISTORY, strict=True), 180)
    ]


def figures_of_days() -> ColumnChart:
    counts = (0, 2, 1, 0, 0, 3, 1, 1, 0, 0, 2, 4, 1, 0)
    drawn = [
        Column(count, f"{count} flaky runs, {days} days ago", "quarantined")
        for days, count in zip(range(len(counts), 0, -1), counts, strict=True)
    ]
    top = columns.top_of_counts(drawn)
    edge = (f"{top:g}", f"{top / 2:g}", "0")
    return ColumnChart(columns.placed(drawn, top), columns.width_of(drawn), edge, "14 days ago", "Today")


def times_of_days() -> LineChart:
    """With a day that nothing is known of."""
    half: list[float | None] = [95, 110, 102, None, 98, 140, 133, 120]
    most = [None if seconds is None else seconds * 2 + 30 for seconds in half]
    today = clock.now().date()
    days = [today - timedelta(days=back) for back in reversed(range(len(half)))]
    drawn = [Line("Half of them", "running", half), Line("95 of 100", "quarantined", most)]
    return lines.chart(days, drawn, [60.0, 300.0, 600.0], "s", phrasing.duration)


def timeline() -> list[dict[str, Any]]:
    def row(label: str, state: State, began_s: float, ended_s: float) -> dict[str, Any]:
        waited = Span(0, began_s, states.WAITING, f"waited {began_s:g} s")
        ran = Span(began_s, ended_s, state, f"{state.word.lower()} after {ended_s - began_s:g} s")
        return {"label": label, "href": "#timeline", "state": state, "spans": [waited, ran]}

    return [
        row("Collect tests", states.PASSED, 2, 21),
        row("Shard 1 of 3, payments and orders", states.FAILED, 24, 148),
        row("Shard 2 of 3", states.PASSED, 24, 131),
        row("Shard 3 of 3", states.RUNNING, 96, 210),
    ]
