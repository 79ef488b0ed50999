"""The living page of the design: every token, state and component as it really is, in both themes."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from changes.base import clock, ids
from changes.people.models import User
from changes.projects.models import Comment
from changes.web import call
from changes.web.pages import columns, design_builds, diffs, drawing, states
from changes.web.pages.charts import Point, Span
from changes.web.pages.columns import Column, ColumnChart
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
        "timeline": timeline(),
        "test_parts": [
            (states.PASSED, 1182),
            (states.FAILED, 3),
            (states.QUARANTINED_FAILED, 4),
            (states.SKIPPED, 41),
        ],
        "diff": diffs.drawn(diffs.parse(A_DIFF)),
        "long_diff": diffs.Drawn([], 1, 2, 7, has_asked=False, beside=frozenset()),
        "remarks": {side: remark() for side in ("light", "dark")},
        "log": A_LOG,
    }


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
