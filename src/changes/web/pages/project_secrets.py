"""The forms of a project's secrets, on the page of its settings. A value is typed once and never shown."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid, NotFound
from changes.people.rules import Scope
from changes.projects import secrets
from changes.web import call
from changes.web.pages import project_settings
from changes.web.params import Parameters, parameters

pages = APIRouter()


class Secret(Parameters):
    """Prefixed, because the page has another field that is called name."""

    secret_name: str = ""
    secret_value: str = ""


class Which(Parameters):
    secret_name: str = ""


@pages.post("/projects/{slug}/settings/secrets/")
def keep_secret(request: Request, slug: str, asked: Annotated[Secret, parameters(Secret)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = project_settings.project_of(this, slug)
            name = asked.secret_name.strip()
            # A form writes each end of a line as two characters, which no key file does.
            secrets.keep(this.session, project, name, asked.secret_value.replace("\r\n", "\n"))
            return this.go(f"/projects/{project.slug}/settings/#secrets", f"{name} is kept.")
    except Invalid as error:
        wrong = Invalid(error.message, [f"secret_{name}" for name in error.problems])
        typed = Secret(secret_name=asked.secret_name)
        return project_settings.again(
            request, slug, wrong, secret=typed, fields=("secret_name", "secret_value")
        )


@pages.post("/projects/{slug}/settings/secrets/remove/")
def drop_secret(request: Request, slug: str, asked: Annotated[Which, parameters(Which)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        try:
            secrets.drop(this.session, project, asked.secret_name)
        except NotFound:
            return this.go(f"/projects/{project.slug}/settings/#secrets", "It was gone already.")
        return this.go(f"/projects/{project.slug}/settings/#secrets", f"{asked.secret_name} is removed.")
