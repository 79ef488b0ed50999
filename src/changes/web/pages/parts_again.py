"""What people do with a build besides asking for a new one: parts of it again, stopped, sooner or later."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.builds import again, cancel, priority, queries
from changes.builds.models import Build, Job
from changes.builds.rules import Priority
from changes.people.rules import Scope
from changes.projects import queries as projects
from changes.web import call
from changes.web.pages import drawing
from changes.web.pages.build_actions import place_of
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
BUILD = "/projects/{slug}/builds/{number:number}/"
ENDED = "It had ended already."


class NewPriority(Parameters):
    priority: str = ""


def build_of(session: Session, slug: str, number: int) -> Build:
    return queries.build_by_number(session, projects.project(session, slug), number)


@pages.post(f"{BUILD}failed/")
def repeat_failed(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = again.repeat_failed(this.session, build_of(this.session, slug, number))
        return this.go(place_of(build), "What did not pass is done again.")


@pages.get(f"{BUILD}restart/")
def ask_to_restart(request: Request, slug: str, number: int) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = build_of(this.session, slug, number)
        values = {
            "title": f"Do all of build #{number} again?",
            "words": "Every step gets a new attempt in this same build, with its plans as they were; the"
            " verdict of the build is that of the new attempts. What there is stays to be read.",
            "crumbs": [*crumbs_of(build), ("Again", "")],
            "action": f"{place_of(build)}restart/",
            "button": "Do all of it again",
            "icon": "retry",
            "back": place_of(build),
        }
        return drawing.page(request, "confirm.html", values)


def crumbs_of(build: Build) -> list[tuple[str, str]]:
    of_project = f"/projects/{build.project.slug}/"
    return [
        ("Projects", "/projects/"),
        (build.project.name, of_project),
        (f"Build #{build.number}", place_of(build)),
    ]


@pages.post(f"{BUILD}restart/")
def restart(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = again.restart(this.session, build_of(this.session, slug, number))
        return this.go(place_of(build), "All of it is done again.")


@pages.post(f"{BUILD}priority/")
def change_priority(
    request: Request, slug: str, number: int, asked: Annotated[NewPriority, parameters(NewPriority)]
) -> Response:
    if asked.priority.upper() not in Priority.__members__:
        raise Invalid("priority is high, default or low.", ["priority"])
    with call.acting(request, Scope.WRITE) as this:
        build = build_of(this.session, slug, number)
        moved = priority.change(this.session, build, Priority[asked.priority.upper()])
        said = "its step waits" if moved == 1 else f"its {moved} steps wait"
        words = f"The priority is {asked.priority}" + (f"; {said} in the new line." if moved else ".")
        return this.go(place_of(build), words)


# --- jobs and steps ------------------------------------------------------------------------


@pages.get("/jobs/{job_id:uuid}/cancel/")
def ask_to_cancel_job(request: Request, job_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        job = queries.job(this.session, job_id)
        words = "What waits is dropped, what runs is stopped. Jobs that need it are skipped; others go on."
        return ask(request, job, f"the job {job.label}", words, f"/jobs/{job_id.hex}/cancel/")


def ask(request: Request, job: Job, what: str, words: str, action: str) -> Response:
    place = place_of(job.build)
    values: dict[str, Any] = {
        "title": f"Cancel {what}?",
        "words": words,
        "crumbs": [*crumbs_of(job.build), ("Cancel", "")],
        "action": action,
        "button": "Cancel it",
        "icon": "stop",
        "back": place,
    }
    return drawing.page(request, "confirm.html", values)


@pages.post("/jobs/{job_id:uuid}/cancel/")
def cancel_job(
    request: Request, job_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        job = queries.job(this.session, job_id)
        was_cancelled = cancel.cancel_job(this.session, job_id, by=this.caller.asker)
        return this.go(place_of(job.build), "The job is cancelled." if was_cancelled else ENDED)


@pages.post("/jobs/{job_id:uuid}/again/")
def repeat_job(
    request: Request, job_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        again.repeat_job(this.session, job_id)
        job = queries.job(this.session, job_id)
        return this.go(place_of(job.build), f"The job {job.label} is done again.")


@pages.get("/steps/{step_id:uuid}/cancel/")
def ask_to_cancel_step(request: Request, step_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        step = queries.step(this.session, step_id)
        job = queries.job(this.session, step.job_id)
        words = "The other steps of its phase go on; what comes after them is skipped."
        return ask(request, job, f"the step {step.label}", words, f"/steps/{step_id.hex}/cancel/")


@pages.post("/steps/{step_id:uuid}/cancel/")
def cancel_step(
    request: Request, step_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        was_cancelled = cancel.cancel_step(this.session, step_id, by=this.caller.asker)
        said = "The step is cancelled." if was_cancelled else ENDED
        return this.go(f"/steps/{step_id.hex}/", said)
