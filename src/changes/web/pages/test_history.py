"""One test through time: the revisions at which it failed, how long it took, who looks after it, its runs."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from changes.base import clock
from changes.base.errors import NotFound
from changes.people.rules import Scope
from changes.projects import comments, queries
from changes.projects.comments import Said
from changes.projects.models import Project
from changes.projects.rules import CommentTarget
from changes.results import history, origin_queries, outputs, testgrid
from changes.results.history import BAD, DayOfTest, RunOfTest
from changes.results.models import Test
from changes.results.testgrid import Turning
from changes.web import call, paging, remarks
from changes.web.call import Call
from changes.web.pages import columns, drawing, phrasing, said, states
from changes.web.pages.columns import Column, ColumnChart
from changes.web.pages.states import State
from changes.web.params import Parameters, blank_is_none, parameters

pages = APIRouter()
HERE = "/projects/{slug}/tests/{sha}/"
RUNS_LOOKED_AT, RUNS_PER_PAGE = 300, 25
FAILURES_SHOWN = 30
CHART_DAYS = 60
MS_PER_S = 1000
RunId = Annotated[UUID | None, BeforeValidator(blank_is_none)]
RESULT_CHOICES = [("", "Any"), ("failed", "Failed")]
VIEW_CHOICES = [("", "Side by side"), ("unified", "One below the other")]


class RunsAsked(Parameters):
    result: Annotated[str, Field(pattern="^(failed|)$")] = ""
    branch: str = ""


class FailuresAsked(Parameters):
    """Two runs; without them the last two that failed."""

    left: RunId = None
    right: RunId = None
    view: Annotated[str, Field(pattern="^(split|unified|)$")] = ""


class SaidOfTest(Parameters):
    text: str = ""


def found(this: Call, slug: str, sha: str) -> tuple[Project, Test]:
    project = queries.project(this.session, slug)
    return project, history.test_named(this.session, project, sha)


def frame_of(project: Project, test: Test) -> dict[str, Any]:
    tests_url = f"/projects/{project.slug}/tests/"
    return {
        "project": project,
        "project_url": f"/projects/{project.slug}/",
        "tests_url": tests_url,
        "test": test,
        "test_url": f"{tests_url}{test.name_sha}/",
    }


@pages.get(HERE)
def show_test(
    request: Request, slug: str, sha: str, asked: Annotated[RunsAsked, parameters(RunsAsked)]
) -> Response:
    page = paging.walked(request, size=RUNS_PER_PAGE)
    with call.reading(request) as this:
        project, test = found(this, slug, sha)
        newest = history.newest(this.session, test, limit=RUNS_LOOKED_AT)
        part = history.runs(this.session, test, page, results=BAD if asked.result else ())
        before, after = paging.newer_and_older(request, page, part)
        days = history.days(this.session, test, limit_days=CHART_DAYS)
        values = {
            **frame_of(project, test),
            **what_was_said(this, test),
            **what_revisions_say(newest, asked.branch),
            "chart": chart(days, clock.now().date()),
            "days": days,
            "origin": origin_queries.newest_of_test(this.session, test),
            "runs": part.rows,
            "asked": asked,
            "result_choices": RESULT_CHOICES,
            "before": before,
            "after": after,
        }
        return drawing.page(request, "test_history.html", values)


def what_was_said(this: Call, test: Test) -> dict[str, Any]:
    about = comments.of(this.session, CommentTarget.TEST, [test.outside_id])
    return {**said.shown(this, about), "remarks": about}


def what_revisions_say(newest: Sequence[RunOfTest], branch: str) -> dict[str, Any]:
    branches = testgrid.branches(newest)
    shown = branch if branch in branches else next(iter(branches), "")
    last, turned = next(iter(newest), None), testgrid.turning(newest, shown)
    return {
        "last": last,
        "verdict": verdict(last, turned),
        "grid": testgrid.grid(newest),
        "branches": branches,
        "turned": turned,
        "failures": testgrid.last_failures(newest, limit=FAILURES_SHOWN),
        "looked_at": len(newest),
    }


def verdict(last: RunOfTest | None, turned: Turning | None) -> State:
    """Of its branch; the newest run may be one of a patch that breaks it."""
    if turned is not None:
        return states.FAILED if turned.is_failing else states.PASSED
    return states.verdict_of(last.result if last else None)


def chart(days: Sequence[DayOfTest], today: date) -> ColumnChart:
    known = {each.day: each for each in days}
    shown = [today - timedelta(days=back) for back in reversed(range(CHART_DAYS))]
    drawn = [column(day, known.get(day)) for day in shown]
    top = columns.top_of_seconds(drawn)
    edge = phrasing.duration(top), phrasing.duration(top / 2), "0"
    first = columns.short_day(shown[0])
    return ColumnChart(columns.placed(drawn, top), columns.width_of(drawn), edge, first, "Today")


def column(day: date, found: DayOfTest | None) -> Column:
    when = columns.short_day(day)
    if found is None or found.mean_ms is None:
        return Column(None, f"{when}: not measured", "quiet")
    seconds = found.mean_ms / MS_PER_S
    failed = f", {phrasing.number(found.failed)} failed" if found.failed else ""
    runs = phrasing.counted(found.runs, "run")
    tone = "failed" if found.failed else "passed"
    return Column(seconds, f"{when}: {phrasing.duration(seconds)}, {runs}{failed}", tone)


@pages.get(f"{HERE}compare/")
def compare_failures(
    request: Request, slug: str, sha: str, asked: Annotated[FailuresAsked, parameters(FailuresAsked)]
) -> Response:
    with call.reading(request) as this:
        project, test = found(this, slug, sha)
        newest = history.newest(this.session, test, limit=RUNS_LOOKED_AT)
        failures = testgrid.last_failures(newest, limit=FAILURES_SHOWN)
        left, right = two_of(failures, asked)
        texts = [history.message_of(this.session, each, test) if each else "" for each in (left, right)]
        told = outputs.compare(*texts)
        values = {
            **frame_of(project, test),
            "failures": failures,
            "left": left,
            "right": right,
            "asked": asked,
            "failure_choices": [(each.id.hex, choice(each)) for each in failures],
            "view_choices": VIEW_CHOICES,
            "is_unified": asked.view == "unified",
            "told": told,
            "pairs": list(outputs.unified(told.pairs)) if asked.view == "unified" else told.pairs,
        }
        return drawing.page(request, "test_compare.html", values)


def two_of(failures: Sequence[RunOfTest], asked: FailuresAsked) -> tuple[UUID | None, UUID | None]:
    """The earlier one left. What is no failure of this test is the page of nothing."""
    known = {each.id for each in failures}
    for given in (asked.left, asked.right):
        if given is not None and given not in known:
            raise NotFound("This test has no such failure among its newest.")
    newest = [each.id for each in failures]
    right = asked.right or next(iter(newest), None)
    earlier = [each for each in newest if each != right]
    return asked.left or next(iter(earlier), None), right


def choice(run: RunOfTest) -> str:
    return f"#{run.number}, {run.surroundings}, {run.sha[:12]}"


@pages.post(f"{HERE}comments/")
def comment_test(
    request: Request, slug: str, sha: str, asked: Annotated[SaidOfTest, parameters(SaidOfTest)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project, test = found(this, slug, sha)
        remarks.say(this, CommentTarget.TEST, test.outside_id, Said(asked.text))
        return this.go(f"/projects/{project.slug}/tests/{test.name_sha}/#said", "Said.")
