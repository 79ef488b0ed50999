"""The tests of a project: /projects/<id>/tests/, one of them through time, packages, days, flaky ones."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from changes.base import clock
from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds import queries as builds
from changes.people.rules import Scope
from changes.projects import commits, options, queries, touching
from changes.projects.models import Project
from changes.projects.touching import Asked
from changes.results import (
    against_base,
    build_tests,
    flaky_days,
    history,
    testgrid,
    tests_of_project,
    testtree,
)
from changes.results.build_tests import ListAsked, NameOfBuild, RunOfBuild
from changes.results.tests_of_project import TestsAsked as SumsAsked
from changes.web import call, paging, shapes, test_shapes
from changes.web.call import Call
from changes.web.params import OptionalText, Parameters, blank_is_none, documented_query, parameters

api = APIRouter(prefix="/projects/{project_id}", tags=["tests"])
# Of one build, for its packages.
NAMES_MAX = 100_000
RUNS_LOOKED_AT, RUNS_PER_PAGE = 300, 50
# Within them a day has numbers of runs.
FIRST_DAY, LAST_DAY = date(2020, 1, 1), date(2080, 1, 1)
Day = Annotated[date | None, BeforeValidator(blank_is_none), Field(ge=FIRST_DAY, le=LAST_DAY)]
Limit = Annotated[int, Field(ge=0, le=2**31 - 1)]


class ListOfTests(Parameters):
    min_duration: Limit = 0
    query: str = ""
    sort: Annotated[str, Field(pattern="^(duration|name)$")] = "duration"


class GroupsAsked(Parameters):
    parent: str = ""
    build_id: Annotated[UUID | None, BeforeValidator(blank_is_none)] = None


class HistoryAsked(Parameters):
    branch: OptionalText = None


class FlakyAsked(Parameters):
    date: Day = None


class StatsAsked(Parameters):
    sort: Annotated[str, Field(pattern="^(slowest|failing|flakiest|name)$")] = "slowest"
    query: str = ""


@api.get("/tests/", openapi_extra=documented_query(ListOfTests, paged=True))
def list_tests(
    request: Request, project_id: str, asked: Annotated[ListOfTests, parameters(ListOfTests)]
) -> Response:
    """Of the latest commit build that passed."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = of_latest_passed(this, project, page, asked)
        shaped, headers = paging.shaped(request, page, part, lambda each: generalized(project, each))
        return this.answer(shaped, headers=headers)


def of_latest_passed(this: Call, project: Project, page: Page, asked: ListOfTests) -> Part[RunOfBuild]:
    build = against_base.newest_passed(this.session, project.id)
    if build is None:
        return Part([], has_next=False)
    least_ms = asked.min_duration or None
    wanted = ListAsked(asked.query, None, asked.sort, least_ms=least_ms, is_exact=True)
    return build_tests.runs(this.session, build.id, page, wanted)


def generalized(project: Project, each: RunOfBuild) -> shapes.Json:
    return test_shapes.generalized(project.id, each.test.name, each.test.name_sha, each.run.duration_ms)


@api.get("/tests/{sha}/")
def show_test(request: Request, project_id: str, sha: str) -> Response:
    """As its newest run was, and since when it passes or fails on the branch that has most of its runs."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        test = history.test_named(this.session, project, sha)
        newest = history.newest(this.session, test, limit=RUNS_LOOKED_AT)
        branches = testgrid.branches(newest)
        turned = testgrid.turning(newest, branches[0]) if branches else None
        return this.answer(test_shapes.test(test, newest[0] if newest else None, turned))


@api.get("/tests/{sha}/history/", openapi_extra=documented_query(HistoryAsked, paged=True))
def show_history(
    request: Request, project_id: str, sha: str, asked: Annotated[HistoryAsked, parameters(HistoryAsked)]
) -> Response:
    """Per commit of a branch, latest first, the newest run, or null where it did not run."""
    page = paging.page_of(request)
    return call.with_looks(request, lambda: history_shown(request, (project_id, sha), asked, page))


def history_shown(request: Request, named: tuple[str, str], asked: HistoryAsked, page: Page) -> Response:
    project_id, sha = named
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        test = history.test_named(this.session, project, sha)
        branch = asked.branch or default_branch(this, project)
        part = touching.commits_of(this.session, project, page, Asked(branch)).part
        shas = [revision.sha for revision in part.rows]
        found = history.at_revisions(this.session, test, project.repository_id, shas)
        told = [test_shapes.at_revision(test, found.get(each)) for each in shas]
        return this.answer(told, headers=paging.link_header(request, page, part))


def default_branch(this: Call, project: Project) -> str:
    """What the repository says, or the name that the original took."""
    return next(iter(commits.branches(this.session, project.repository)), "master")


@api.get("/tests/{sha}/runs/", openapi_extra=documented_query(paged=True, by_id=True))
def list_runs(request: Request, project_id: str, sha: str) -> Response:
    """All runs of a test, newest first, of commits and of patches."""
    page = paging.walked(request, size=RUNS_PER_PAGE)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        test = history.test_named(this.session, project, sha)
        part = history.runs(this.session, test, page)
        shaped, headers = paging.shaped(request, page, part, test_shapes.run_of_history)
        return this.answer(shaped, headers=headers)


@api.get("/testgroups/", openapi_extra=documented_query(GroupsAsked))
def list_groups(
    request: Request, project_id: str, asked: Annotated[GroupsAsked, parameters(GroupsAsked)]
) -> Response:
    """The packages right below `parent`, of a build or of the latest commit build that passed."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        found = names_of(this, project, asked.build_id)
        durations_ms = {name: each.duration_ms for name, each in found.items()}
        sep = testtree.separator(durations_ms)
        groups = testtree.groups(durations_ms, sep, asked.parent)
        trail = [{"path": path, "name": name} for path, name in testtree.trail(asked.parent, sep)]
        told = {
            "groups": [test_shapes.group(each, found) for each in groups],
            "trail": trail,
            "overThreshold": over_threshold(this, project, durations_ms.values()),
        }
        return this.answer(told)


def names_of(this: Call, project: Project, build_id: UUID | None) -> dict[str, NameOfBuild]:
    if build_id is None:
        build = against_base.newest_passed(this.session, project.id)
    else:
        build = builds.build(this.session, build_id)
        if build.project_id != project.id:
            raise NotFound("This project has no such build.")
    return build_tests.sums(this.session, build.id, limit=NAMES_MAX) if build else {}


def over_threshold(this: Call, project: Project, durations_ms: Iterable[int]) -> dict[str, int]:
    """How many take longer than the project allows, and what these take together."""
    told = queries.options(this.session, project).get(options.SLOW_TEST, "")
    slow = [each for each in durations_ms if told and each > int(told)]
    return {"count": len(slow), "duration": sum(slow)}


@api.get("/flaky_tests/", openapi_extra=documented_query(FlakyAsked))
def list_flaky_tests(
    request: Request, project_id: str, asked: Annotated[FlakyAsked, parameters(FlakyAsked)]
) -> Response:
    """Tests that passed on this day only because they were run again, and fifty days of each."""
    day = asked.date or flaky_days.day_asked(clock.now())
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        chart = flaky_days.chart(this.session, project.id, day)
        found = flaky_days.tests_of_day(this.session, project.id, day)
        told = {
            "date": day.isoformat(),
            "chartData": [test_shapes.flaky_day(each) for each in chart],
            "flakyTests": [test_shapes.flaky_test(each, project.id) for each in found],
        }
        return this.answer(told)


@api.get("/teststats/", openapi_extra=documented_query(StatsAsked, paged=True))
def show_stats(
    request: Request, project_id: str, asked: Annotated[StatsAsked, parameters(StatsAsked)]
) -> Response:
    """The tests of the last week by what they cost, with thirty days of all of them."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        days = tests_of_project.trend(this.session, project.id, until=clock.now().date())
        wanted = SumsAsked(asked.sort, asked.query)
        part = tests_of_project.tests(this.session, project.id, page, wanted)
        told = {
            "days": [test_shapes.day_of_tests(each) for each in days],
            "tests": [test_shapes.sums_of_test(each) for each in part.rows],
        }
        return this.answer(told, headers=paging.link_header(request, page, part))
