"""What a machine did in the last weeks: steps, how they ended, and how much of its time it worked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from changes.base import clock
from changes.base.db import Session
from changes.builds.models import Node
from changes.results.figures import reading
from changes.results.figures.counting import Days, midnight
from changes.results.figures.models import Scope
from changes.results.figures.reading import Asked, Sums
from changes.web.pages import columns, phrasing
from changes.web.pages.columns import Column, ColumnChart

DAYS_SHOWN = 30
MS_PER_S = 1000


@dataclass(frozen=True)
class NodeUse:
    """`busy_share` is of the time of all its slots, since it is known or for `days`."""

    days: int
    sums: Sums
    busy_share: float
    chart: ColumnChart


def of_node(session: Session, node: Node) -> NodeUse | None:
    """None where nothing that it did has been counted."""
    after = clock.now().date() + timedelta(days=1)
    period = Days(after - timedelta(days=DAYS_SHOWN), after)
    days = reading.by_day(session, Asked(period, scope=Scope.STEPS, owner_id=node.id))
    sums = reading.together(days.values())
    if not sums.total:
        return None
    return NodeUse(DAYS_SHOWN, sums, busy_share(node, sums, period), chart_of(days))


def busy_share(node: Node, sums: Sums, period: Days) -> float:
    since = max(midnight(period.first), node.date_created)
    known_s = max(1.0, (clock.now() - since).total_seconds())
    return min(1.0, sums.took_ms / MS_PER_S / (known_s * max(1, node.slots)))


def chart_of(days: Mapping[date, Sums]) -> ColumnChart:
    drawn = [
        Column(each.took_ms / MS_PER_S, said(day, each), "running" if each.total else "quiet")
        for day, each in days.items()
    ]
    top = columns.top_of_seconds(drawn)
    edge = (phrasing.duration(top), phrasing.duration(top / 2), "0")
    first = columns.short_day(next(iter(days)))
    return ColumnChart(columns.placed(drawn, top), columns.width_of(drawn), edge, first, "Today")


def said(day: date, sums: Sums) -> str:
    took, steps = phrasing.duration(sums.took_ms / MS_PER_S), phrasing.counted(sums.total, "step")
    return f"{columns.short_day(day)}: {took} in {steps}"
