"""Settings of a project: what it is called, what it builds, and whether it builds at all."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid
from changes.builds import snapshots
from changes.people.rules import Scope
from changes.projects import change, options, queries, secrets
from changes.projects.change import ProjectChange
from changes.projects.models import Project, Repository
from changes.projects.rules import ProjectStatus
from changes.web import call, option_fields
from changes.web.pages import drawing, forms, project_words
from changes.web.params import Parameters, parameters

pages = APIRouter()
TEMPLATE = "project_settings.html"


class Settings(Parameters):
    name: str = ""
    repository: str = ""


AllSettings = option_fields.with_options(Settings)


class Address(Parameters):
    slug: str = ""
    confirmed: str = ""


class Switch(Parameters):
    """Typed to say that it is meant."""

    status: str = ""
    typed: str = ""


@pages.get("/projects/{slug}/details/")
def show_details(request: Request, slug: str) -> Response:
    """For everybody who may read it: whom to ask, and what to know."""
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        stored = options.with_defaults(queries.options(this.session, project))
        values = {
            "project": project,
            "project_url": f"/projects/{project.slug}/",
            "owner": stored[options.OWNERS],
            "notes": stored[options.NOTES],
            "builds_for": project_words.what_it_builds(stored),
        }
        return drawing.page(request, "project_details.html", values)


@pages.get("/projects/{slug}/settings/")
def show_settings(request: Request, slug: str) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_of(this, slug)
        values = values_of(this.session, project)
        return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})


def project_of(this: call.Call, slug: str) -> Project:
    """For whoever may change it."""
    project = queries.project(this.session, slug)
    forms.require_project(this, project)
    return project


def values_of(session: Session, project: Project, **typed: Any) -> dict[str, Any]:
    """As stored, unless somebody typed something else that was wrong."""
    stored = options.with_defaults(queries.options(session, project))
    return {
        "project": project,
        "asked": Settings(name=project.name, repository=project.repository.url),
        "address": Address(slug=project.slug),
        "switch": Switch(),
        "secrets": secrets.of(session, project),
        "secret": None,
        "declared": options.OF_PROJECTS,
        "words_of": {name: words_of(option) for name, option in options.OF_PROJECTS.items()},
        **typed,
        "chosen": stored | option_fields.given(typed["asked"]) if "asked" in typed else stored,
    }


def words_of(option: options.Option) -> list[tuple[str, str]]:
    said = {"0": "no", "1": "yes"}
    return [(choice, said.get(choice, choice.replace("-", " "))) for choice in option.choices]


@pages.post("/projects/{slug}/settings/")
def change_settings(
    request: Request, slug: str, asked: Annotated[Settings, parameters(AllSettings)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = project_of(this, slug)
            repository = known_repository(this.session, asked.repository)
            change.change_project(
                this.session, project, ProjectChange(name=asked.name, repository=repository)
            )
            options.change(
                this.session, project, snapshots.checked(this.session, project, typed_options(asked))
            )
            return this.go(f"/projects/{project.slug}/settings/", "Saved.")
    except (Invalid, Conflict) as error:
        return again(request, slug, error, asked=asked, fields=("name", "repository", *options.OF_PROJECTS))


def known_repository(session: Session, url: str) -> Repository:
    found = queries.repository_by_url(session, url.strip())
    if found is None:
        raise Invalid("No repository has this address. The page of repositories lists them.", ["repository"])
    return found


def typed_options(asked: Settings) -> dict[str, str]:
    """A field that was emptied is as if nobody had ever filled it in."""
    given = option_fields.given(asked)
    return {name: text.strip() or options.OF_PROJECTS[name].default for name, text in given.items()}


def again(request: Request, slug: str, error: Invalid | Conflict, **typed: Any) -> Response:
    with call.open_to_all(request) as this:
        values = values_of(this.session, queries.project(this.session, slug), **typed)
        return forms.again(request, TEMPLATE, values, error)


@pages.post("/projects/{slug}/settings/address/")
def change_address(request: Request, slug: str, asked: Annotated[Address, parameters(Address)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = project_of(this, slug)
            refuse_unmeant(bool(asked.confirmed), "Say that it is meant.", "confirmed")
            change.change_project(this.session, project, ProjectChange(slug=asked.slug.strip()))
            return this.go(f"/projects/{project.slug}/settings/", "The project has this address now.")
    except (Invalid, Conflict) as error:
        return again(request, slug, error, address=asked, fields=("slug", "confirmed"))


@pages.post("/projects/{slug}/settings/status/")
def switch_project(request: Request, slug: str, asked: Annotated[Switch, parameters(Switch)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = project_of(this, slug)
            status = ProjectStatus.ACTIVE if asked.status == "active" else ProjectStatus.INACTIVE
            is_meant = status == ProjectStatus.ACTIVE or asked.typed.strip() == project.slug
            refuse_unmeant(is_meant, f"Type {project.slug} to say that it is meant.", "typed")
            change.change_project(this.session, project, ProjectChange(status=status))
            said = "It is built again." if status == ProjectStatus.ACTIVE else "It is switched off."
            return this.go(f"/projects/{project.slug}/settings/", said)
    except (Invalid, Conflict) as error:
        return again(request, slug, error, switch=asked, fields=("typed",))


def refuse_unmeant(is_meant: bool, words: str, field: str) -> None:
    if not is_meant:
        raise Invalid(words, [field])
