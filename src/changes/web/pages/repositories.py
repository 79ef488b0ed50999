"""Where code comes from: every repository, how reading it went, and the projects that build it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Conflict, Invalid
from changes.base.process import settings
from changes.people.rules import Scope
from changes.projects import change, create, credentials, heads, hooks, queries, reach, tasks
from changes.projects.change import RepositoryChange
from changes.projects.models import Repository
from changes.projects.rules import RepositoryStatus, listens_here_only
from changes.web import auth, call, paging
from changes.web.pages import drawing, forms
from changes.web.pages.new_project import BACKENDS, LOOK_AGAIN_S, backend_of
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
BRANCHES_SHOWN = 50


class Query(Parameters):
    query: str = ""


class Edited(Parameters):
    url: str = ""
    backend: str = "git"
    status: str = "active"


@pages.get("/repositories/")
def list_repositories(request: Request, asked: Annotated[Query, parameters(Query)]) -> Response:
    page = paging.page_of(request, size=paging.SIZE_MAX)
    with call.reading(request) as this:
        part = queries.repositories(this.session, page, query=asked.query)
        shown = [repository.id for repository in part.rows]
        before, after = paging.newer_and_older(request, page, part)
        values = {
            "repositories": part.rows,
            "projects": queries.projects_of_repositories(this.session, shown),
            "asked": asked,
        }
        return drawing.page(request, "repositories.html", {**values, "before": before, "after": after})


@pages.get("/repositories/{repository_id:uuid}/")
def show_repository(request: Request, repository_id: UUID) -> Response:
    with call.reading(request) as this:
        repository = queries.repository(this.session, repository_id)
        values = {
            "repository": repository,
            "projects": queries.projects_of_repositories(this.session, [repository_id])[repository_id],
            "revision": queries.newest_revision(this.session, repository),
            "credential": credentials.of(this.session, repository),
            "branches": heads.listed(this.session, repository, limit=BRANCHES_SHOWN),
            "branch_count": heads.count(this.session, repository),
            "hook": hook_of(repository) if this.caller.scope == Scope.ADMIN else None,
        }
        answer = drawing.page(request, "repository.html", values)
        if repository.status == RepositoryStatus.IMPORTING and not repository.last_error:
            answer.headers["Refresh"] = str(LOOK_AGAIN_S)
        return answer


def hook_of(repository: Repository) -> tuple[str, str]:
    """Address and secret, for those who administer the repository where it lies."""
    return hooks.address_of(repository), hooks.secret_of(repository)


@pages.get("/repositories/{repository_id:uuid}/edit/")
def edit_repository(request: Request, repository_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        asked = Edited(
            url=repository.url,
            backend=repository.backend.name.lower(),
            status="inactive" if repository.status == RepositoryStatus.INACTIVE else "active",
        )
        return drawing.page(request, "edit_repository.html", {**values_of(repository, asked), **forms.RIGHT})


def values_of(repository: Repository, asked: Edited) -> dict[str, Any]:
    return {
        "repository": repository,
        "asked": asked,
        "backends": BACKENDS,
        "fields": ("url", "backend", "status"),
    }


@pages.post("/repositories/{repository_id:uuid}/edit/")
def change_repository(
    request: Request, repository_id: UUID, asked: Annotated[Edited, parameters(Edited)]
) -> Response:
    try:
        reach_changed(request, repository_id, asked)
        with call.acting(request, Scope.ADMIN) as this:
            repository = queries.repository(this.session, repository_id)
            change.change_repository(this.session, repository, wanted(asked), may_be_local=may_be_local())
            return this.go(f"/repositories/{repository_id.hex}/", "Saved.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            values = values_of(queries.repository(this.session, repository_id), asked)
            return forms.again(request, "edit_repository.html", values, error)


def reach_changed(request: Request, repository_id: UUID, asked: Edited) -> None:
    """Another address is asked before it is stored, while no transaction is open."""
    url, backend = asked.url.strip(), backend_of(asked.backend)
    with call.open_to_all(request) as this:
        auth.require(this.caller, Scope.ADMIN)
        repository = queries.repository(this.session, repository_id)
        is_same = (url, backend) == (repository.url, repository.backend)
        entrance = credentials.for_address(this.session, repository, url)
        change.refuse_other_kind(repository, backend)
    if not is_same and asked.status == "active":
        create.check_url(url, backend, may_be_local=may_be_local())
        reach.check(url, backend, credentials=entrance)


def wanted(asked: Edited) -> RepositoryChange:
    status = RepositoryStatus.ACTIVE if asked.status == "active" else RepositoryStatus.INACTIVE
    return RepositoryChange(url=asked.url.strip(), backend=backend_of(asked.backend), status=status)


def may_be_local() -> bool:
    return listens_here_only(settings.get().host)


@pages.post("/repositories/{repository_id:uuid}/fetch/")
def fetch(
    request: Request, repository_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        repository = queries.repository(this.session, repository_id)
        change.fetch(this.session, repository)
        return this.go(f"/repositories/{repository_id.hex}/", "It is being read.")


@pages.post("/repositories/{repository_id:uuid}/sync/")
def sync(
    request: Request, repository_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    """Whoever may ask for builds may ask whether there is anything new."""
    with call.acting(request, Scope.WRITE) as this:
        repository = queries.repository(this.session, repository_id)
        tasks.ask_for_sync(this.session, repository)
        return this.go(f"/repositories/{repository_id.hex}/", "It is looked at now.")


@pages.post("/repositories/{repository_id:uuid}/hook/")
def change_hook(
    request: Request, repository_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        hooks.change_key(queries.repository(this.session, repository_id))
        return this.go(f"/repositories/{repository_id.hex}/", "The address and the secret are new.")
