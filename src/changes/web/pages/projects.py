"""All projects at a glance, and one with its builds."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import queries as builds
from changes.builds.models import Build
from changes.builds.rules import CAUSE_LABELS, RESULT_LABELS, Cause, Result
from changes.projects import queries
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus
from changes.results import statistics
from changes.web import call, paging
from changes.web.pages import drawing
from changes.web.pages.charts import Point
from changes.web.pages.states import state_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PROJECTS_PER_PAGE = 100
STRIP_BUILDS = 12
CHART_BUILDS = 40
MS_PER_S = 1000
RESULTS = [Result.PASSED, Result.FAILED, Result.INFRA_FAILED, Result.ABORTED]
ANY = ("", "Any")
RESULT_CHOICES = [
    ANY,
    *((each.name.lower(), RESULT_LABELS.get(each, each.name.capitalize())) for each in RESULTS),
]
CAUSE_CHOICES = [
    ANY,
    *((each.name.lower(), CAUSE_LABELS.get(each, each.name.capitalize())) for each in Cause if each),
]


class BuildsAsked(Parameters):
    """As in the API, so that an address can be carried over."""

    query: str = ""
    result: Annotated[str, Field(pattern="^(failed|passed|aborted|unknown|infra_failed|)$")] = ""
    cause: Annotated[str, Field(pattern="^(unknown|manual|push|retry|snapshot|)$")] = ""


@pages.get("/projects/")
def list_projects(request: Request) -> Response:
    page = paging.page_of(request, size=PROJECTS_PER_PAGE)
    with call.reading(request) as this:
        part = queries.projects(this.session, page, status=ProjectStatus.ACTIVE)
        shown = [project.id for project in part.rows]
        strips = builds.newest_of_projects(this.session, shown, each=STRIP_BUILDS)
        before, after = paging.newer_and_older(request, page, part)
        values = {"projects": part.rows, "strips": strips}
        return drawing.page(request, "projects.html", {**values, "before": before, "after": after})


@pages.get("/projects/{slug}/")
def show_project(
    request: Request, slug: str, asked: Annotated[BuildsAsked, parameters(BuildsAsked)]
) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        part = builds.builds(this.session, page, wanted(project, asked))
        shown = [build.id for build in part.rows]
        newer, older = paging.newer_and_older(request, page, part)
        values = {
            "project": project,
            "builds": part.rows,
            "failures": builds.failures_of(this.session, shown),
            "stats": statistics.of_items(this.session, shown),
            "points": chart(project, builds.newest_finished(this.session, project, limit=CHART_BUILDS)),
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "project.html", {**values, **filters(asked)})


def wanted(project: Project, asked: BuildsAsked) -> builds.BuildFilter:
    return builds.BuildFilter(
        project=project,
        result=Result[asked.result.upper()] if asked.result else None,
        cause=Cause[asked.cause.upper()] if asked.cause else None,
        text=asked.query,
    )


def filters(asked: BuildsAsked) -> dict[str, object]:
    is_filtered = bool(asked.query or asked.result or asked.cause)
    return {
        "asked": asked,
        "is_filtered": is_filtered,
        "result_choices": RESULT_CHOICES,
        "cause_choices": CAUSE_CHOICES,
    }


def chart(project: Project, newest: Sequence[Build]) -> list[Point]:
    """Oldest left."""
    return [
        Point(
            None if build.duration_ms is None else build.duration_ms / MS_PER_S,
            state_of(build.status, build.result),
            f"Build #{build.number}",
            f"/projects/{project.slug}/builds/{build.number}/",
        )
        for build in reversed(newest)
    ]
