"""/projects/<id>/commits/, its sources/, and /sources_builds/: what a project builds, and how it went."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Part
from changes.builds import queries as builds
from changes.builds import revision_results
from changes.builds.queries import BuildFilter
from changes.people.rules import Scope
from changes.projects import change_queries, commits, queries, touching, versions
from changes.projects.models import Project, Revision, Source
from changes.projects.touching import Asked, Found
from changes.web import call, change_shapes, covered_sources, paging, shapes
from changes.web.api.builds import summaries
from changes.web.call import Call
from changes.web.covered_sources import SourceAsked
from changes.web.params import Parameters, TextList, documented_query, parameters

api = APIRouter(tags=["changes"])
COMMITS_PER_PAGE = 50
# Of all commits of a page together.
BUILDS_MAX = 1000
PROJECT = "/projects/{project_id}/"


class CommitsAsked(Parameters):
    branch: str = ""
    query: str = ""
    # A commit, branch or tag: it and what it stands on, as the repository says.
    parent: str = ""
    all_builds: str = ""
    # Those too that change none of the files which the project asks for.
    every_commit: str = ""


class SourceBuilds(Parameters):
    source_id: UUID | None = None
    revision_sha: str = ""
    repo_id: UUID | None = None
    tag: TextList = []


@api.get(f"{PROJECT}commits/", openapi_extra=documented_query(CommitsAsked, paged=True))
def list_commits(
    request: Request, project_id: str, asked: Annotated[CommitsAsked, parameters(CommitsAsked)]
) -> Response:
    """Latest first, each with its newest `build`, or with all `builds`."""
    page = paging.page_of(request, size=COMMITS_PER_PAGE)
    return call.with_looks(request, lambda: commits_listed(request, project_id, asked, page))


def commits_listed(request: Request, project_id: str, asked: CommitsAsked, page: Page) -> Response:
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = found(this, project, asked, page).part
        told = with_builds(this, project, part.rows, has_all=bool(asked.all_builds))
        return this.answer(told, headers=paging.link_header(request, page, part))


def found(this: Call, project: Project, asked: CommitsAsked, page: Page) -> Found:
    is_every = bool(asked.every_commit)
    if asked.parent and (asked.branch or asked.query):
        raise Invalid("Only one of parent and branch can be given.", ["parent", "branch"])
    if asked.parent:
        return touching.log_from(this.session, project, asked.parent, page, is_every=is_every)
    wanted = Asked(asked.branch, asked.query, is_every)
    return touching.commits_of(this.session, project, page, wanted)


def with_builds(
    this: Call, project: Project, revisions: Sequence[Revision], *, has_all: bool
) -> list[dict[str, Any]]:
    shas = [revision.sha for revision in revisions]
    mine = builds.of_commits(this.session, project, shas, limit=BUILDS_MAX)
    results = revision_results.of_commits(this.session, project, shas)
    told = []
    for revision in revisions:
        brief = [change_shapes.brief(build) for build in mine[revision.sha]]
        result = results.get(revision.sha)
        told.append(
            {
                **shapes.revision(revision),
                **({"builds": brief} if has_all else {"build": brief[0] if brief else None}),
                "revisionResult": change_shapes.revision_result(result) if result else None,
            }
        )
    return told


@api.get(f"{PROJECT}commits/{{sha}}/")
def show_commit(request: Request, project_id: str, sha: str) -> Response:
    """By a sha or its beginning."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        revision = commits.commit_beginning(this.session, project.repository, sha)
        repository = change_shapes.repository(project.repository)
        return this.answer({**shapes.revision(revision), "repository": repository})


@api.get(f"{PROJECT}commits/{{sha}}/builds/", openapi_extra=documented_query(paged=True, by_id=True))
def list_builds_of_commit(request: Request, project_id: str, sha: str) -> Response:
    """Without a patch on top, newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        revision = commits.commit_beginning(this.session, project.repository, sha)
        wanted = BuildFilter(project=project, sha=revision.sha, include_patches=False)
        return listed(request, this, builds.builds(this.session, page, wanted), page)


@api.get(f"{PROJECT}sources/{{source_id:uuid}}/", openapi_extra=documented_query(SourceAsked))
def show_source(
    request: Request,
    project_id: str,
    source_id: UUID,
    asked: Annotated[SourceAsked, parameters(SourceAsked)],
) -> Response:
    """With its diff; of a commit, what it brought."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        source = source_of(this, project, source_id)
        diff = versions.bytes_of(this.session, source).decode("utf-8", "replace")
        told = {"diff": diff, "tailsInfo": source.data}
        told |= covered_sources.told(this, source, asked, project.id)
        return this.answer({**change_shapes.version(source), **told})


@api.get(
    f"{PROJECT}sources/{{source_id:uuid}}/builds/", openapi_extra=documented_query(paged=True, by_id=True)
)
def list_builds_of_source(request: Request, project_id: str, source_id: UUID) -> Response:
    """Those of this project, newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        wanted = BuildFilter(project=project, source=source_of(this, project, source_id))
        return listed(request, this, builds.builds(this.session, page, wanted), page)


def source_of(this: Call, project: Project, source_id: UUID) -> Source:
    source = change_queries.source(this.session, source_id)
    if source.repository_id != project.repository_id:
        raise NotFound("This project has no such source.")
    return source


@api.get("/sources_builds/", openapi_extra=documented_query(SourceBuilds, paged=True, by_id=True))
def list_builds_of_any_source(
    request: Request, asked: Annotated[SourceBuilds, parameters(SourceBuilds)]
) -> Response:
    """Of a source, or of the commit `revision_sha` of the repository `repo_id`; each with its `jobs`."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        wanted = BuildFilter(source=asked_source(this, asked), tags=[tag for tag in asked.tag if tag])
        part = builds.builds(this.session, page, wanted)
        jobs = builds.jobs_of(this.session, [build.id for build in part.rows])
        told = summaries(this, list(part.rows))
        for shaped, build in zip(told, part.rows, strict=True):
            shaped["jobs"] = [shapes.job(job) for job in jobs[build.id]]
        return this.answer(told, headers=paging.link_header(request, page, part))


def asked_source(this: Call, asked: SourceBuilds) -> Source:
    if asked.source_id is not None:
        return change_queries.source(this.session, asked.source_id)
    if not asked.revision_sha or asked.repo_id is None:
        raise Invalid("Say source_id, or revision_sha and repo_id.", ["source_id", "revision_sha", "repo_id"])
    return change_queries.source_of_commit(this.session, asked.repo_id, asked.revision_sha)


def listed(request: Request, this: Call, part: Part[Any], page: Page) -> Response:
    return this.answer(summaries(this, list(part.rows)), headers=paging.link_header(request, page, part))
