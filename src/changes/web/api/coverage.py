"""Coverage of a build and of a project: which lines ran, per file, and which of those that a change adds."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.builds import queries as builds
from changes.people.rules import Scope
from changes.projects import queries
from changes.results.coverage import groups
from changes.results.coverage import queries as coverage
from changes.web import call, coverage_shapes, paging
from changes.web.params import Flag, Parameters, documented_query, parameters

api = APIRouter(tags=["coverage"])
BUILD = "/builds/{build_id:uuid}/"
PROJECT = "/projects/{project_id}/"


class CodesAsked(Parameters):
    prefix: Annotated[str, Field(description="only files whose path begins so")] = ""


class StatsAsked(Parameters):
    diff: Annotated[Flag, Field(description="only files that the build's change adds lines to")] = False
    prefix: Annotated[str, Field(description="only files whose path begins so")] = ""


class FilesAsked(Parameters):
    query: Annotated[str, Field(description="only files whose path begins so")] = ""
    sort: Annotated[str, Field(pattern="^(lines_covered|lines_uncovered|name)$")] = "name"


class GroupsAsked(Parameters):
    parent: Annotated[str, Field(description="a folder")] = ""


@api.get(f"{BUILD}coverage/", openapi_extra=documented_query(CodesAsked))
def show_codes(
    request: Request, build_id: UUID, asked: Annotated[CodesAsked, parameters(CodesAsked)]
) -> Response:
    """For each file a letter for each line: N is no code, U did not run, C did. Of all steps together."""
    with call.begin(request, Scope.READ) as this:
        builds.build(this.session, build_id)
        return this.answer(coverage.codes(this.session, build_id, asked.prefix))


@api.get(f"{BUILD}coverage/summary/")
def show_summary(request: Request, build_id: UUID) -> Response:
    """With the build that it is compared with, and the new lines that did not run."""
    with call.begin(request, Scope.READ) as this:
        build = builds.build(this.session, build_id)
        found = coverage.of_build(this.session, build)
        if found is None:
            raise NotFound("No step of this build reported coverage.")
        strange = coverage.strange_names(this.session, build_id)
        return this.answer(coverage_shapes.of_build(build, found, strange))


@api.get(f"{BUILD}stats/coverage/", openapi_extra=documented_query(StatsAsked))
def show_stats(
    request: Request, build_id: UUID, asked: Annotated[StatsAsked, parameters(StatsAsked)]
) -> Response:
    """Lines of each file, and of those the lines that the change adds; at most 20,000 files."""
    with call.begin(request, Scope.READ) as this:
        build = builds.build(this.session, build_id)
        found = coverage.of_build(this.session, build)
        of_patch = {each.path: each for each in found.patch.files} if found else {}
        part = coverage.files(this.session, build_id, asked.prefix, Page(size=coverage.STATS_MAX), "name")
        told = {
            file.path: coverage_shapes.stats(file, of_patch.get(file.path))
            for file in part.rows
            if not asked.diff or file.path in of_patch
        }
        return this.answer(told)


@api.get(f"{PROJECT}coverage/", openapi_extra=documented_query(FilesAsked, paged=True))
def list_files(
    request: Request, project_id: str, asked: Annotated[FilesAsked, parameters(FilesAsked)]
) -> Response:
    """Of the newest commit build that passed with coverage."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        build_id = coverage.newest_passed(this.session, project.id)
        part = coverage.files(this.session, build_id, asked.query, page, asked.sort)
        shaped, headers = paging.shaped(request, page, part, coverage_shapes.file_of_project)
        return this.answer(shaped, headers=headers)


@api.get(f"{PROJECT}coveragegroups/", openapi_extra=documented_query(GroupsAsked))
def list_groups(
    request: Request, project_id: str, asked: Annotated[GroupsAsked, parameters(GroupsAsked)]
) -> Response:
    """What lies right below a folder, most uncovered lines first; a folder that is no choice is left out."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        build_id = coverage.newest_passed(this.session, project.id)
        found = groups.below(this.session, build_id, asked.parent)
        return this.answer(
            {"groups": [coverage_shapes.group(each) for each in found], "trail": trail(asked.parent)}
        )


def trail(parent: str) -> list[Mapping[str, str]]:
    return [{"path": path, "name": name} for path, name in groups.trail(parent)]
