"""What people do with builds: ask for one, ask for it again, cancel it."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid, Unavailable
from changes.base.process import settings
from changes.builds import again, ask, cancel, queries
from changes.builds.models import Build
from changes.builds.rules import Cause
from changes.people.rules import Scope
from changes.projects import queries as projects
from changes.projects.models import Project
from changes.projects.plan_options import lines_in
from changes.projects.rules import ProjectStatus
from changes.web import call
from changes.web.pages import drawing, forms, plans_found
from changes.web.pages.new_project import LOOK_AGAIN_S, is_being_read
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
SHA_MAX = 255
# What every unified diff has somewhere.
DIFF_SIGNS = (b"diff ", b"--- ", b"@@ ", b"Index: ")


class NewBuild(Parameters):
    """`patch` is typed or pasted, `file` is one of the reader's; the file wins."""

    sha: str = ""
    label: str = ""
    patch: str = ""
    file: bytes = b""
    # One in each line: names of plans, and NAME=VALUE of their parameters.
    plans: str = ""
    values: str = ""


@pages.get("/projects/{slug}/build/")
def ask_for_build(request: Request, slug: str) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = projects.project(this.session, slug)
        values = values_of(this.session, project, NewBuild(sha=request.query_params.get("sha", "")))
        answer = drawing.page(request, "new_build.html", {**values, **forms.RIGHT})
        if is_being_read(project):
            answer.headers["Refresh"] = str(LOOK_AGAIN_S)
        return answer


def values_of(session: Session, project: Project, asked: NewBuild) -> dict[str, Any]:
    return {
        "project": project,
        "asked": asked,
        "fields": ("sha", "label", "patch", "file", "plans", "parameters"),
        "is_active": project.status == ProjectStatus.ACTIVE,
        "is_being_read": is_being_read(project),
        **plans_found.of(session, project),
    }


@pages.post("/projects/{slug}/build/")
def create_build(request: Request, slug: str, asked: Annotated[NewBuild, parameters(NewBuild)]) -> Response:
    try:
        return call.with_looks(request, lambda: new_build(request, slug, asked))
    except (Invalid, Conflict, Unavailable) as error:
        with call.open_to_all(request) as this:
            values = values_of(this.session, projects.project(this.session, slug), asked)
            return forms.again(request, "new_build.html", values, error)


def new_build(request: Request, slug: str, asked: NewBuild) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = projects.project(this.session, slug)
        refuse_unread(project)
        (build,) = ask.build_what_was_asked(
            this.session,
            replace(wanted(project, asked), asked_by=this.caller.asker),
            timeout_min=settings.get().default_job_timeout_min,
        )
        return this.go(place_of(build), f"Build #{build.number} was asked for.")


def refuse_unread(project: Project) -> None:
    """The first copy of a repository can take long: no request waits for it."""
    if is_being_read(project):
        raise Unavailable("The repository is still being fetched. Please ask again when it is here.")


def wanted(project: Project, asked: NewBuild) -> ask.Asked:
    sha = asked.sha.strip() or "HEAD"
    if len(sha) > SHA_MAX:
        raise Invalid("No branch and no commit has such a long name.", ["sha"])
    return ask.Asked(
        sha=sha,
        project=project.slug,
        label=asked.label.strip() or None,
        patch=patch_of(asked),
        cause=Cause.MANUAL,
        plans=lines_in(asked.plans),
        parameters=typed_values(asked.values),
    )


def typed_values(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines_in(text)]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise Invalid(f"Write NAME=VALUE in each line, not {wrong[0][:80]!r}.", ["parameters"])
    return {name.strip(): value.strip() for name, _, value in pairs}


def patch_of(asked: NewBuild) -> bytes | None:
    """Browsers end the lines of what was typed as no diff does; what is in a file stays as it is."""
    typed = asked.patch.replace("\r\n", "\n")
    patch = asked.file or (typed.rstrip("\n") + "\n").encode() * bool(typed.strip())
    if patch and not any(sign in patch for sign in DIFF_SIGNS):
        raise Invalid(
            "This is not a unified diff, as `git diff` prints it.", ["file" if asked.file else "patch"]
        )
    return patch or None


def place_of(build: Build) -> str:
    return f"/projects/{build.project.slug}/builds/{build.number}/"


@pages.get("/projects/{slug}/builds/{number:number}/cancel/")
def ask_to_cancel(request: Request, slug: str, number: int) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = queries.build_by_number(this.session, projects.project(this.session, slug), number)
        return drawing.page(request, "cancel_build.html", {"build": build})


@pages.post("/projects/{slug}/builds/{number:number}/cancel/")
def cancel_build(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = queries.build_by_number(this.session, projects.project(this.session, slug), number)
        was_cancelled = cancel.cancel_build(this.session, build, by=this.caller.asker)
        return this.go(
            place_of(build), "The build is cancelled." if was_cancelled else "It had ended already."
        )


@pages.post("/projects/{slug}/builds/{number:number}/again/")
def build_again(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = queries.build_by_number(this.session, projects.project(this.session, slug), number)
        timeout_min = settings.get().default_job_timeout_min
        made = again.build_again(
            this.session, build, Cause.MANUAL, timeout_min=timeout_min, asked_by=this.caller.asker
        )
        return this.go(place_of(made), f"Build #{made.number} is the same once more.")
