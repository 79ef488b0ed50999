"""How much was built, how green, how long it took and waited: of a project, and of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.db import Session
from changes.projects import queries
from changes.results import flaky
from changes.results.figures import naming, reading
from changes.results.figures.models import Scope
from changes.results.figures.reading import Asked, Sums
from changes.web import call
from changes.web.asked_figures import DAYS_DEFAULT, FiguresAsked
from changes.web.pages import columns, drawing, lines, phrasing
from changes.web.pages.charts import SHORT_TOPS_S, TOPS_S
from changes.web.pages.columns import Column, ColumnChart
from changes.web.pages.lines import Line, LineChart
from changes.web.pages.projects import frame_of
from changes.web.params import parameters

pages = APIRouter()
PERIODS = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "A year")]
KINDS = [("", "All builds"), ("commits", "Of commits"), ("patches", "Of patches")]
RESULTS = [
    ("", "Any result"),
    ("passed", "Passed"),
    ("failed", "Failed"),
    ("aborted", "Aborted"),
    ("infra_failed", "Infra failed"),
]
SECONDS = [*SHORT_TOPS_S, *map(float, TOPS_S)]


@dataclass(frozen=True)
class Owner:
    """A plan or a machine, with what it did."""

    id: UUID
    name: str
    sums: Sums


@pages.get("/projects/{slug}/statistics/")
def show_of_project(
    request: Request, slug: str, asked: Annotated[FiguresAsked, parameters(FiguresAsked)]
) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        names = naming.plans(this.session, project.id)
        period = asked.of_period(clock.now().date(), project.id)
        plans = reading.by_owner(this.session, replace(period, scope=Scope.JOBS, owner_id=asked.plan))
        values = {
            **frame_of(project),
            **figures(this.session, period, asked),
            "bill": flaky.bill(this.session, project),
            "plans": owners(plans, names),
            "plan_choices": [("", "All plans"), *((plan.hex, name) for plan, name in names.items())],
            "api_url": f"/api/0/projects/{project.slug}/statistics/",
        }
        return drawing.page(request, "project_statistics.html", values)


@pages.get("/statistics/")
def show_of_all(request: Request, asked: Annotated[FiguresAsked, parameters(FiguresAsked)]) -> Response:
    asked = asked.model_copy(update={"plan": None})
    with call.reading(request) as this:
        period = asked.of_period(clock.now().date())
        nodes = reading.by_owner(this.session, replace(period, scope=Scope.STEPS))
        values = {
            **figures(this.session, period, asked),
            "bill": flaky.bill(this.session),
            "nodes": owners(nodes, naming.nodes(this.session, nodes)),
            "api_url": "/api/0/statistics/",
        }
        return drawing.page(request, "statistics.html", values)


def figures(session: Session, period: Asked, asked: FiguresAsked) -> dict[str, Any]:
    days = reading.by_day(session, period)
    before = reading.by_day(session, asked.of_period(clock.now().date(), period.project_id, before=True))
    return {
        "asked": asked,
        "is_filtered": asked.is_filtered,
        "period_choices": with_own(asked.days),
        "kind_choices": KINDS,
        "result_choices": RESULTS,
        "days": days,
        "total": reading.together(days.values()),
        "before": reading.together(before.values()),
        "by_week": len(days) < asked.days and asked.days > DAYS_DEFAULT,
        "slowest": reading.slowest(session, period),
        "bill_days": flaky.PERIOD_DAYS,
        "things": "build" if asked.plan is None else "job",
        **charts(days),
    }


def with_own(days: int) -> list[tuple[str, str]]:
    """An address may name a time that is none of those offered."""
    own = (str(days), phrasing.counted(days, "day"))
    return PERIODS if any(value == own[0] for value, _ in PERIODS) else [own, *PERIODS]


def owners(found: Mapping[UUID, Sums], names: Mapping[UUID, str]) -> list[Owner]:
    """Those that took most of all together first."""
    known = [Owner(owner, names.get(owner, "no longer there"), sums) for owner, sums in found.items()]
    return sorted(known, key=lambda each: (-each.sums.took_ms, each.name))


def charts(days: Mapping[date, Sums]) -> dict[str, ColumnChart | LineChart]:
    shown, sums = list(days), list(days.values())
    took = [
        Line("Half of them", "running", [each.took_p50_s for each in sums]),
        Line("95 of 100", "quarantined", [each.took_p95_s for each in sums]),
    ]
    waited = [
        Line("Half of them", "running", [each.waited_p50_s for each in sums]),
        Line("95 of 100", "quarantined", [each.waited_p95_s for each in sums]),
    ]
    green = [Line("Passed", "passed", [each.pass_rate for each in sums])]
    return {
        "count_chart": counted(days),
        "green_chart": lines.chart(shown, green, [1.0], "share", phrasing.share),
        "took_chart": lines.chart(shown, took, SECONDS, "s", phrasing.duration),
        "waited_chart": lines.chart(shown, waited, SECONDS, "s", phrasing.duration),
    }


def counted(days: Mapping[date, Sums]) -> ColumnChart:
    drawn = [
        Column(
            each.total,
            f"{columns.short_day(day)}: {each.total}, {phrasing.share(each.pass_rate)} passed",
            "running" if each.total else "quiet",
        )
        for day, each in days.items()
    ]
    top = columns.top_of_counts(drawn)
    edge = (phrasing.number(round(top)), phrasing.number(round(top / 2)), "0")
    first = columns.short_day(next(iter(days))) if days else ""
    return ColumnChart(columns.placed(drawn, top), columns.width_of(drawn), edge, first, "Today")
