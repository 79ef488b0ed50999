"""All projects at a glance, and one with its builds and its plans."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import clock
from changes.base.db import Session
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.builds import glance, green
from changes.builds import queries as builds
from changes.builds.glance import GlanceAsked, ProjectGlance
from changes.builds.models import Build
from changes.builds.rules import CAUSE_LABELS, RESULT_LABELS, Cause, Result
from changes.projects import queries
from changes.projects.models import Project
from changes.results import statistics
from changes.web import call, paging
from changes.web.pages import drawing, phrasing
from changes.web.pages.charts import Point
from changes.web.pages.states import state_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PROJECTS_PER_PAGE = 50
BUILDS_PER_PAGE = 25
PLANS_SHOWN = 100
STRIP_BUILDS = 12
CHART_BUILDS = 40
TAGS_AMONG = 500
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
KIND_CHOICES = [ANY, ("commits", "Commits"), ("patches", "Patches")]
ONLY_CHOICES = [("", "All"), ("red", "Red only")]
SORT_CHOICES = [
    ("", "Name"),
    ("-state", "State"),
    ("-active", "Latest activity"),
    ("rate", "Pass rate, worst first"),
    ("-took", "Duration, longest first"),
    ("-queue", "Queue, longest first"),
]


class ProjectsAsked(Parameters):
    query: str = ""
    only: Annotated[str, Field(pattern="^(red|)$")] = ""
    sort: str = ""


class BuildsAsked(Parameters):
    """As in the API where it has the same, so that an address can be carried over."""

    query: str = ""
    result: Annotated[str, Field(pattern="^(failed|passed|aborted|unknown|infra_failed|)$")] = ""
    cause: Annotated[str, Field(pattern="^(unknown|manual|push|retry|snapshot|)$")] = ""
    kind: Annotated[str, Field(pattern="^(commits|patches|)$")] = ""
    author: str = ""
    branch: str = ""
    tag: str = ""


@pages.get("/projects/")
def list_projects(request: Request, asked: Annotated[ProjectsAsked, parameters(ProjectsAsked)]) -> Response:
    page = paging.page_of(request, size=PROJECTS_PER_PAGE)
    wanted = GlanceAsked(asked.query.strip(), asked.only == "red", asked.sort or "name")
    with call.reading(request) as this:
        part = glance.projects(this.session, page, wanted)
        shown = [each.project.id for each in part.rows]
        before, after = paging.newer_and_older(request, page, part)
        total, red = glance.counts(this.session)
        values = {
            "glances": part.rows,
            "strips": builds.newest_of_projects(this.session, shown, each=STRIP_BUILDS),
            "asked": asked,
            "is_filtered": bool(asked.query or asked.only),
            "counts": {"all": total, "red": red},
            "only_choices": ONLY_CHOICES,
            "sort_choices": SORT_CHOICES,
            "recent": glance.RECENT,
            "stale": {each.project.id: phrasing.stale(each.last_activity, clock.now()) for each in part.rows},
        }
        return drawing.page(request, "projects.html", {**values, "before": before, "after": after})


@pages.get("/projects/{slug}/")
def show_project(
    request: Request, slug: str, asked: Annotated[BuildsAsked, parameters(BuildsAsked)]
) -> Response:
    page = paging.page_of(request, size=BUILDS_PER_PAGE, by_id=True)
    with call.reading(request) as this:
        seen = seen_project(this.session, slug)
        part = builds.builds(this.session, page, wanted_builds(seen.project, asked))
        newer, older = paging.newer_and_older(request, page, part)
        newest = builds.newest_finished(this.session, seen.project, limit=CHART_BUILDS)
        values = {
            **frame_of(seen.project),
            "glance": seen,
            "green": green.newest(this.session, seen.project),
            "stale": phrasing.stale(seen.last_activity, clock.now()),
            **rows(this.session, part.rows),
            "points": chart(seen.project, newest),
            "newer": newer,
            "older": older,
            "tag_choices": choices(builds.tags_of(this.session, seen.project, among=TAGS_AMONG)),
        }
        return drawing.page(request, "project.html", {**values, **filters(asked)})


def seen_project(session: Session, slug: str) -> ProjectGlance:
    """By its slug, or by the id that links of the API carry."""
    seen = glance.project(session, slug) or glance.project(session, queries.project(session, slug).slug)
    if seen is None:
        raise NotFound(f"There is no project {slug!r}.", ["project"])
    return seen


def frame_of(project: Project) -> dict[str, Any]:
    """What head and tabs of every page of a project need."""
    return {"project": project, "project_url": f"/projects/{project.slug}/"}


def rows(session: Session, shown: Sequence[Build]) -> dict[str, Any]:
    """Builds, and what their rows say besides."""
    ids = [build.id for build in shown]
    return {
        "builds": shown,
        "failures": builds.failures_of(session, ids),
        "stats": statistics.of_items(session, ids),
    }


def wanted_builds(project: Project, asked: BuildsAsked) -> builds.BuildFilter:
    return builds.BuildFilter(
        project=project,
        result=Result[asked.result.upper()] if asked.result else None,
        cause=Cause[asked.cause.upper()] if asked.cause else None,
        text=asked.query.strip(),
        people=asked.author.strip(),
        branch=asked.branch.strip(),
        tags=[asked.tag] if asked.tag else [],
        patches_only=asked.kind == "patches",
        include_patches=asked.kind != "commits",
    )


def choices(names: Iterable[str]) -> list[tuple[str, str]]:
    return [ANY, *((name, name) for name in names)]


def filters(asked: BuildsAsked) -> dict[str, Any]:
    rare = bool(asked.author or asked.branch or asked.tag)
    return {
        "asked": asked,
        "is_filtered": rare or bool(asked.query or asked.result or asked.cause or asked.kind),
        "is_rarely_filtered": rare,
        "result_choices": RESULT_CHOICES,
        "cause_choices": CAUSE_CHOICES,
        "kind_choices": KIND_CHOICES,
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


@pages.get("/projects/{slug}/plans/")
def list_plans(request: Request, slug: str) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        part = queries.plans(this.session, Page(size=PLANS_SHOWN), project)
        return drawing.page(request, "project_plans.html", {**frame_of(project), "plans": part.rows})
