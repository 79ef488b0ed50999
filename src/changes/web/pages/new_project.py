"""A project from nothing: its repository is asked first, read in the background, and built from a page
that says how far that is.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid
from changes.base.process import settings
from changes.people.rules import Scope
from changes.projects import create, queries, reach
from changes.projects.models import Project, Repository
from changes.projects.rules import (
    RepositoryBackend,
    RepositoryStatus,
    listens_here_only,
    suggested_slug,
)
from changes.web import auth, call
from changes.web.pages import drawing, forms, plans_found
from changes.web.params import Parameters, parameters

pages = APIRouter()
BACKENDS = [("git", "Git"), ("hg", "Mercurial")]
# How soon the page looks again while the repository is read.
LOOK_AGAIN_S = 2


class NewProject(Parameters):
    name: str = ""
    slug: str = ""
    url: str = ""
    backend: str = "git"


@pages.get("/projects/new/")
def ask_for_project(request: Request) -> Response:
    with call.acting(request, Scope.ADMIN):
        return drawing.page(request, "new_project.html", {**values_of(NewProject()), **forms.RIGHT})


def values_of(asked: NewProject) -> dict[str, Any]:
    return {
        "asked": asked,
        "backends": BACKENDS,
        "fields": ("name", "slug", "url", "backend"),
        "may_be_local": listens_here_only(settings.get().host),
    }


@pages.post("/projects/new/")
def create_project(request: Request, asked: Annotated[NewProject, parameters(NewProject)]) -> Response:
    try:
        is_open = reach_new(request, asked)
        with call.acting(request, Scope.ADMIN) as this:
            repository = repository_for(this.session, asked)
            slug = asked.slug.strip() or suggested_slug(asked.name)
            project = create.create_project(this.session, asked.name, repository, slug=slug)
            if not is_open:
                here = f"/repositories/{repository.id.hex}/credentials/"
                return this.go(here, "The project is there; its repository wants credentials.")
            return this.go(f"/projects/{project.slug}/start/", "The project is there.")
    except (Invalid, Conflict) as error:
        return forms.again(request, "new_project.html", values_of(asked), error)


def reach_new(request: Request, asked: NewProject) -> bool:
    """Whoever may do this, and before anything is stored: is there a repository, and is it open to us?"""
    url, backend = asked.url.strip(), backend_of(asked.backend)
    with call.open_to_all(request) as this:
        auth.require(this.caller, Scope.ADMIN)
        create.checked_name(asked.name)
        if queries.repository_by_url(this.session, url) is not None:
            return True
    create.check_url(url, backend, may_be_local=listens_here_only(settings.get().host))
    try:
        reach.check(url, backend)
    except reach.Closed:
        # Credentials are stored with the repository, so it comes first.
        return False
    return True


def backend_of(name: str) -> RepositoryBackend:
    if name not in dict(BACKENDS):
        raise Invalid("Git or Mercurial?", ["backend"])
    return RepositoryBackend[name.upper()]


def repository_for(session: Session, asked: NewProject) -> Repository:
    """Several projects may build one repository."""
    known = queries.repository_by_url(session, asked.url.strip())
    if known is not None and known.status == RepositoryStatus.INACTIVE:
        raise Invalid("This repository is switched off; it can be switched on again on its page.", ["url"])
    may_be_local = listens_here_only(settings.get().host)
    return known or create.create_repository(
        session, asked.url.strip(), backend_of(asked.backend), may_be_local=may_be_local
    )


@pages.get("/projects/{slug}/start/")
def show_start(request: Request, slug: str) -> Response:
    """What is still missing before the first build, in its order."""
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        values = {"project": project, **plans_found.of(this.session, project)}
        answer = drawing.page(request, "start_project.html", values)
        if is_being_read(project):
            answer.headers["Refresh"] = str(LOOK_AGAIN_S)
        return answer


def is_being_read(project: Project) -> bool:
    repository = project.repository
    return repository.status == RepositoryStatus.IMPORTING and not repository.last_error
