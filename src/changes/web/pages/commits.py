"""The commits of a project with their builds, one commit, and the patch that a build was for."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.builds import green, triggers_queries
from changes.builds import queries as builds
from changes.builds.models import Build
from changes.builds.queries import BuildFilter
from changes.projects import commits, patches, queries, touching
from changes.projects.touching import Asked
from changes.results import origin_queries
from changes.web import call, paging
from changes.web.pages import diffs, drawing
from changes.web.pages.builds import find
from changes.web.pages.builds import frame_of as frame_of_build
from changes.web.pages.projects import frame_of, rows
from changes.web.params import Parameters, parameters

pages = APIRouter()
COMMITS_PER_PAGE = 50
# Of all commits of a page together; more only where somebody builds one commit again and again.
BUILDS_MAX = 400


class CommitsAsked(Parameters):
    branch: str = ""
    query: str = ""
    # Those too that change none of the files which the project asks for.
    every_commit: str = ""


@pages.get("/projects/{slug}/commits/")
def list_commits(
    request: Request, slug: str, asked: Annotated[CommitsAsked, parameters(CommitsAsked)]
) -> Response:
    page = paging.page_of(request, size=COMMITS_PER_PAGE)
    return call.with_looks(request, lambda: drawn_commits(request, slug, asked, page))


def drawn_commits(request: Request, slug: str, asked: CommitsAsked, page: Page) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        wanted = Asked(asked.branch, asked.query.strip(), bool(asked.every_commit))
        found = touching.commits_of(this.session, project, page, wanted)
        shas = [revision.sha for revision in found.part.rows]
        newer, older = paging.newer_and_older(request, page, found.part)
        names = commits.branches(this.session, project.repository)
        values = {
            **frame_of(project),
            "commits": found.part.rows,
            "builds": builds.of_commits(this.session, project, shas, limit=BUILDS_MAX),
            "green_shas": green.among(this.session, project, shas),
            "branch_choices": [("", "All"), *((name, name) for name in names)],
            "asked": asked,
            "is_filtered": bool(wanted.branch or wanted.text),
            "found": found,
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "commits.html", values)


@pages.get("/projects/{slug}/commits/{sha}/")
def show_commit(request: Request, slug: str, sha: str) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        revision, broken = origin_queries.commit(this.session, project.repository, sha)
        part = builds.builds(this.session, page, BuildFilter(project=project, sha=revision.sha))
        newer, older = paging.newer_and_older(request, page, part)
        values = {
            **frame_of(project),
            "revision": revision,
            "whys": triggers_queries.why_built(this.session, project, revision),
            # A commit has a change from its first build on.
            "change_id": next(
                (each.source.change_id for each in part.rows if not each.source.patch_id), None
            ),
            **rows(this.session, part.rows),
            "broken": broken,
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "commit.html", values)


@pages.get("/projects/{slug}/builds/{reference}/patch/")
def show_patch(request: Request, slug: str, reference: str) -> Response:
    asked = diffs.Asked(part=paging.whole_number(request, "part", 1))
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        values = {**frame_of_build(build), **patch_of(this.session, build, asked)}
        return drawing.page(request, "patch.html", values)


def patch_of(session: Session, build: Build, asked: diffs.Asked) -> dict[str, Any]:
    patch = build.source.patch
    if patch is None:
        raise NotFound("This build is of a commit, without a patch on top.")
    files = diffs.parse(diffs.text_of(patches.content(session, patch)))
    return {"patch": patch, "drawn": diffs.drawn(files, asked)}
