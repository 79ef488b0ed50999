"""Numbers about finished work: of one project, of the whole system, and one number through time."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from changes.base import clock
from changes.base.db import Session
from changes.base.errors import Invalid
from changes.people.rules import Scope
from changes.projects import queries
from changes.results import flaky
from changes.results.figures import item_series, naming, reading
from changes.results.figures.item_series import POINTS, STATS, Resolution, Wanted
from changes.results.figures.models import Scope as Summed
from changes.results.figures.reading import Asked
from changes.web import call, statistics_shapes, verdict_shapes
from changes.web.asked_figures import FiguresAsked
from changes.web.params import Parameters, blank_is_none, documented_query, parameters

api = APIRouter(tags=["statistics"])
POINTS_MAX, FROM_MAX = 400, 4_102_444_800


class SeriesAsked(Parameters):
    # Needed; but a stranger is told to sign in before he is told that.
    stat: Annotated[str, Field(pattern=f"^({'|'.join(STATS)}|)$")] = ""
    resolution: Resolution = Resolution.DAY
    agg: Annotated[str, Field(pattern="^(sum|avg)$")] = "avg"
    points: Annotated[int | None, BeforeValidator(blank_is_none), Field(ge=1, le=POINTS_MAX)] = None
    until: Annotated[
        float | None,
        BeforeValidator(blank_is_none),
        Field(alias="from", ge=0, le=FROM_MAX, description="seconds since 1970 of the last point"),
    ] = None

    def wanted(self) -> Wanted:
        if not self.stat:
            raise Invalid(f"Say which number: stat={' or stat='.join(STATS)}.", ["stat"])
        until = clock.now() if self.until is None else datetime.fromtimestamp(self.until, UTC)
        points = self.points or POINTS[self.resolution]
        return Wanted(self.stat, self.resolution, points, self.agg == "sum", until)


@api.get("/projects/{project_id}/stats/", openapi_extra=documented_query(SeriesAsked))
def show_series(
    request: Request, project_id: str, asked: Annotated[SeriesAsked, parameters(SeriesAsked)]
) -> Response:
    """One number of its builds of commits: their sum or mean for each hour, day, week or month."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        points = item_series.series(this.session, project.id, asked.wanted())
        return this.answer([{"time": round(at.timestamp() * 1000), "value": value} for at, value in points])


@api.get("/projects/{project_id}/statistics/", openapi_extra=documented_query(FiguresAsked))
def show_of_project(
    request: Request, project_id: str, asked: Annotated[FiguresAsked, parameters(FiguresAsked)]
) -> Response:
    """How many builds, how green, how long they took and waited: by day, by plan, and the slowest steps."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        period = asked.of_period(clock.now().date(), project.id)
        plans = reading.by_owner(this.session, replace(period, scope=Summed.JOBS))
        names = naming.plans(this.session, project.id)
        bill = verdict_shapes.bill(flaky.bill(this.session, project))
        told_plans = statistics_shapes.owners(plans, names)
        return this.answer({**told(this.session, period), "flaky": bill, "plans": told_plans})


@api.get("/statistics/", openapi_extra=documented_query(FiguresAsked))
def show_of_all(request: Request, asked: Annotated[FiguresAsked, parameters(FiguresAsked)]) -> Response:
    """The same of all projects together, and what the machines did."""
    with call.begin(request, Scope.READ) as this:
        period = replace(asked.of_period(clock.now().date()), scope=Summed.BUILDS, owner_id=None)
        nodes = reading.by_owner(this.session, replace(period, scope=Summed.STEPS))
        names = naming.nodes(this.session, nodes)
        bill = verdict_shapes.bill(flaky.bill(this.session))
        told_nodes = statistics_shapes.owners(nodes, names)
        return this.answer({**told(this.session, period), "flaky": bill, "nodes": told_nodes})


def told(session: Session, period: Asked) -> dict[str, Any]:
    days = reading.by_day(session, period)
    return {
        "from": period.days.first.isoformat(),
        "total": statistics_shapes.sums(reading.together(days.values())),
        "days": statistics_shapes.days(days),
        "slowest": [statistics_shapes.slow_step(*each) for each in reading.slowest(session, period)],
    }
