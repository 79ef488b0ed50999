"""/projects/ and /repositories/."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.convertors import register_url_convertor

from changes.base import ids
from changes.base.db import Session
from changes.base.errors import Invalid
from changes.base.process import settings
from changes.builds import queries as builds
from changes.builds import snapshots
from changes.builds.rules import Cause, Result
from changes.people.rules import Scope
from changes.projects import change, create, options, queries
from changes.projects.change import ProjectChange, RepositoryChange
from changes.projects.models import Project, Repository
from changes.projects.rules import (
    ProjectStatus,
    RepositoryBackend,
    RepositoryStatus,
    listens_here_only,
)
from changes.results import statistics
from changes.results.figures import reading
from changes.web import call, option_fields, paging, shapes, statistics_shapes
from changes.web.params import (
    Flag,
    OptionalText,
    Parameters,
    TextList,
    documented,
    documented_query,
    parameters,
)
from changes.web.paths import Number

api = APIRouter(tags=["projects"])
register_url_convertor("number", Number())


class NewRepository(Parameters):
    url: Annotated[
        str, Field(min_length=1, description="an URL, or a path where server and agent share a host")
    ]
    backend: Annotated[str, Field(pattern="^(git|hg|unknown)$")] = "git"


class NewProject(Parameters):
    name: Annotated[str, Field(min_length=1)]
    slug: OptionalText = None
    repository: Annotated[str, Field(min_length=1, description="URL or id of a known repository")]


class ChangedRepository(Parameters):
    """What is left out stays as it is."""

    url: OptionalText = None
    backend: Annotated[str | None, Field(pattern="^(git|hg|unknown)$")] = None
    status: Annotated[str | None, Field(pattern="^(active|inactive)$")] = None


class ChangedProject(Parameters):
    """What is left out stays as it is."""

    name: str | None = None
    slug: OptionalText = None
    repository: Annotated[OptionalText, Field(description="URL or id of a known repository")] = None
    status: Annotated[str | None, Field(pattern="^(active|inactive)$")] = None


class ChangedOptions(Parameters):
    """Those that have an effect today; what is left out stays as it is."""


AllOptions = option_fields.with_options(ChangedOptions)


class Query(Parameters):
    query: str = ""


class ProjectList(Query):
    status: Annotated[str, Field(pattern="^(active|inactive|)$")] = "active"


class ProjectBuilds(Parameters):
    query: str = ""
    source: str = ""
    result: Annotated[str, Field(pattern="^(failed|passed|aborted|unknown|infra_failed|)$")] = ""
    cause: Annotated[str, Field(pattern="^(unknown|manual|push|retry|snapshot|)$")] = ""
    tag: TextList = []
    include_patches: Flag = True
    patches_only: Flag = False


@api.post("/repositories/", openapi_extra=documented(NewRepository))
def create_repository(
    request: Request, asked: Annotated[NewRepository, parameters(NewRepository)]
) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        backend = RepositoryBackend[asked.backend.upper()]
        may_be_local = listens_here_only(settings.get().host)
        made = create.create_repository(this.session, asked.url, backend, may_be_local=may_be_local)
        return this.answer(shapes.repository(made))


@api.get("/repositories/", openapi_extra=documented_query(Query, paged=True))
def list_repositories(request: Request, asked: Annotated[Query, parameters(Query)]) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = queries.repositories(this.session, page, query=asked.query)
        shaped, headers = paging.shaped(request, page, part, shapes.repository)
        return this.answer(shaped, headers=headers)


@api.get("/repositories/{repository_id:uuid}/")
def show_repository(request: Request, repository_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        repository = queries.repository(this.session, repository_id)
        projects = queries.active_projects_of(this.session, repository)
        return this.answer(
            {**shapes.repository(repository), "projects": [shapes.project(each) for each in projects]}
        )


@api.post("/repositories/{repository_id:uuid}/", openapi_extra=documented(ChangedRepository))
def change_repository(
    request: Request,
    repository_id: UUID,
    asked: Annotated[ChangedRepository, parameters(ChangedRepository)],
) -> Response:
    """Another address is read anew in the background."""
    with call.begin(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        wanted = RepositoryChange(
            url=asked.url,
            backend=RepositoryBackend[asked.backend.upper()] if asked.backend else None,
            status=RepositoryStatus[asked.status.upper()] if asked.status else None,
        )
        may_be_local = listens_here_only(settings.get().host)
        change.change_repository(this.session, repository, wanted, may_be_local=may_be_local)
        return this.answer(shapes.repository(repository))


@api.post("/projects/", openapi_extra=documented(NewProject))
def create_project(request: Request, asked: Annotated[NewProject, parameters(NewProject)]) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        repository = named_repository(this.session, asked.repository)
        project = create.create_project(this.session, asked.name, repository, slug=asked.slug or "")
        this.session.refresh(project)
        return this.answer(shapes.project(project))


def named_repository(session: Session, url_or_id: str) -> Repository:
    found = queries.repository_by_url(session, url_or_id)
    if found is not None:
        return found
    try:
        repository_id = ids.parse(url_or_id)
    except Invalid:
        raise Invalid(f"Repository with url {url_or_id} does not exist.", ["repository"]) from None
    return queries.repository(session, repository_id)


@api.get("/projects/", openapi_extra=documented_query(ProjectList, paged=True))
def list_projects(request: Request, asked: Annotated[ProjectList, parameters(ProjectList)]) -> Response:
    page = paging.page_of(request, size=0)
    with call.begin(request, Scope.READ) as this:
        status = ProjectStatus[asked.status.upper()] if asked.status else None
        part = queries.projects(this.session, page, query=asked.query, status=status)
        shaped = with_builds(this.session, part.rows)
        return this.answer(shaped, headers=paging.link_header(request, page, part))


def with_builds(session: Session, projects: Sequence[Project]) -> list[dict[str, Any]]:
    shown = [project.id for project in projects]
    last = builds.last_builds(session, shown, passed=False)
    passing = builds.last_builds(session, shown, passed=True)
    return [
        {
            **shapes.project(project),
            "lastBuild": shapes.build(last[project.id]) if project.id in last else None,
            "lastPassingBuild": shapes.build(passing[project.id]) if project.id in passing else None,
        }
        for project in projects
    ]


@api.get("/projects/{project_id}/")
def show_project(request: Request, project_id: str) -> Response:
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        return this.answer(
            {
                **with_builds(this.session, [project])[0],
                "repository": shapes.repository(project.repository),
                "options": options.with_defaults(queries.options(this.session, project)),
                "stats": statistics_shapes.of_week(*reading.last_weeks(this.session, project.id)),
            }
        )


@api.post("/projects/{project_id}/", openapi_extra=documented(ChangedProject))
def change_project(
    request: Request, project_id: str, asked: Annotated[ChangedProject, parameters(ChangedProject)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        wanted = ProjectChange(
            name=asked.name,
            slug=asked.slug,
            repository=named_repository(this.session, asked.repository) if asked.repository else None,
            status=ProjectStatus[asked.status.upper()] if asked.status else None,
        )
        change.change_project(this.session, project, wanted)
        repository = shapes.repository(project.repository)
        return this.answer({**shapes.project(project), "repository": repository})


@api.post("/projects/{project_id}/options/", openapi_extra=documented(AllOptions))
def change_options(
    request: Request, project_id: str, asked: Annotated[ChangedOptions, parameters(AllOptions)]
) -> Response:
    """Those that have an effect today."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        values = snapshots.checked(this.session, project, option_fields.given(asked))
        options.change(this.session, project, values)
        return this.answer({})


@api.get(
    "/projects/{project_id}/builds/", openapi_extra=documented_query(ProjectBuilds, paged=True, by_id=True)
)
def list_builds(
    request: Request, project_id: str, asked: Annotated[ProjectBuilds, parameters(ProjectBuilds)]
) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        wanted = wanted_builds(this.session, project_id, asked)
        part = builds.builds(this.session, page, wanted)
        ids_shown = [build.id for build in part.rows]
        stats = statistics.of_items(this.session, ids_shown)
        failures = builds.failures_of(this.session, ids_shown)
        shaped = [shapes.build(build, stats[build.id], failures[build.id]) for build in part.rows]
        return this.answer(shaped, headers=paging.link_header(request, page, part))


def wanted_builds(session: Session, project_id: str, asked: ProjectBuilds) -> builds.BuildFilter:
    return builds.BuildFilter(
        project=queries.project(session, project_id),
        result=Result[asked.result.upper()] if asked.result else None,
        cause=Cause[asked.cause.upper()] if asked.cause else None,
        tags=[tag for tag in asked.tag if tag],
        text=asked.query,
        target=asked.source,
        include_patches=asked.include_patches,
        patches_only=asked.patches_only,
    )


@api.get("/projects/{project_id}/builds/{number:number}/")
def find_build(request: Request, project_id: str, number: int) -> Response:
    """A build by the number people say."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        build = builds.build_by_number(this.session, project, number)
        return this.answer(shapes.build(build))
