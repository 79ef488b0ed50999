"""The tests of a project: how many, how long, how green day by day; the slowest, the flakiest, what fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import clock
from changes.projects import queries
from changes.projects.models import Project
from changes.results import owners, tests_of_project
from changes.results.tests_of_project import TREND_DAYS, DayOfTests, NewestFailure, TestsAsked, TestSums
from changes.web import call, paging
from changes.web.pages import columns, drawing, phrasing
from changes.web.pages.columns import Column, ColumnChart
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/projects/{slug}/tests/"
LISTS = ("slowest", "flakiest", "failing")
LISTED, TESTS_PER_PAGE = 6, 50
MS_PER_S = 1000
NOBODY = UUID(int=0)
SORT_CHOICES = [
    ("", "Slowest first"),
    ("failing", "Failed last"),
    ("flakiest", "Flakiest first"),
    ("name", "Name"),
]
ORDERS = {
    "slowest": "slowest first",
    "failing": "those that failed last first",
    "flakiest": "flakiest first",
    "name": "by name",
}


class ListAsked(Parameters):
    query: str = ""
    sort: Annotated[str, Field(pattern="^(slowest|failing|flakiest|name|)$")] = ""


def frame_of(project: Project) -> dict[str, Any]:
    return {"project": project, "project_url": f"/projects/{project.slug}/"}


@pages.get(HERE)
def show_tests(request: Request, slug: str) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        today = clock.now().date()
        days = tests_of_project.trend(this.session, project.id, until=today)
        lists = tests_of_project.firsts(this.session, project.id, LISTS, each=LISTED)
        newest = tests_of_project.newest_failures(this.session, lists["failing"])
        values = {
            **frame_of(project),
            **lists,
            "failing": newest_first(lists["failing"], newest),
            "newest": newest,
            "asked": owners.of_runs(this.session, [each.run_id for each in newest.values()]),
            "days": days,
            "latest": days[-1] if days else None,
            "charts": charts(days, today),
            "listed_days": tests_of_project.LISTED_DAYS,
        }
        return drawing.page(request, "project_tests.html", values)


def newest_first(failing: Sequence[TestSums], newest: Mapping[UUID, NewestFailure]) -> Sequence[TestSums]:
    """Of one day, too; what is kept no more comes last."""
    return sorted(
        failing, key=lambda each: newest[each.id].run_id if each.id in newest else NOBODY, reverse=True
    )


@pages.get(f"{HERE}all/")
def list_tests(request: Request, slug: str, asked: Annotated[ListAsked, parameters(ListAsked)]) -> Response:
    page = paging.page_of(request, size=TESTS_PER_PAGE)
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        wanted = TestsAsked(asked.sort or "slowest", asked.query.strip())
        part = tests_of_project.tests(this.session, project.id, page, wanted)
        before, after = paging.newer_and_older(request, page, part)
        values = {
            **frame_of(project),
            "tests": part.rows,
            "asked": asked,
            "order": ORDERS[wanted.sort],
            "sort_choices": SORT_CHOICES,
            "before": before,
            "after": after,
            "listed_days": tests_of_project.LISTED_DAYS,
        }
        return drawing.page(request, "project_tests_all.html", values)


@dataclass(frozen=True)
class Figure:
    """One number of a day: how it is drawn, and how it is told."""

    value: Callable[[DayOfTests], float]
    said: Callable[[DayOfTests], str]
    tone: str
    edge: Callable[[float], str] = lambda top: phrasing.number(round(top))
    top: Callable[[Sequence[Column]], float] = columns.top_of_counts


FIGURES = {
    "failed": Figure(
        lambda day: day.failed,
        lambda day: f"{phrasing.counted(day.failed, 'failed run')}, {phrasing.share(day.pass_rate)} passed",
        "failed",
    ),
    "flaky": Figure(
        lambda day: day.flaky, lambda day: phrasing.counted(day.flaky, "flaky run"), "quarantined"
    ),
    "time": Figure(
        lambda day: day.duration_ms / MS_PER_S,
        lambda day: phrasing.duration(day.duration_ms / MS_PER_S),
        "running",
        phrasing.duration,
        columns.top_of_seconds,
    ),
    "count": Figure(lambda day: day.tests, lambda day: phrasing.counted(day.tests, "test"), "running"),
}


def charts(days: Sequence[DayOfTests], today: date) -> dict[str, ColumnChart]:
    """Each of the same days, so that one is read below the other."""
    known = {each.day: each for each in days}
    shown = [today - timedelta(days=back) for back in reversed(range(TREND_DAYS))]
    return {name: chart(figure, shown, known) for name, figure in FIGURES.items()}


def chart(figure: Figure, shown: Sequence[date], known: Mapping[date, DayOfTests]) -> ColumnChart:
    drawn = [column(figure, day, known.get(day)) for day in shown]
    top = figure.top(drawn)
    return ColumnChart(
        columns.placed(drawn, top),
        columns.width_of(drawn),
        (figure.edge(top), figure.edge(top / 2), "0"),
        columns.short_day(shown[0]),
        "Today",
    )


def column(figure: Figure, day: date, found: DayOfTests | None) -> Column:
    said = figure.said(found) if found else "no tests"
    value = figure.value(found) if found else None
    return Column(value, f"{columns.short_day(day)}: {said}", figure.tone if value else "quiet")
