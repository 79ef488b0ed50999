"""One attempt at one step: its commands, what it left behind, its other attempts, and its log in parts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.db import Session
from changes.base.process import settings
from changes.builds import attempts, queries, reasons, snapshots, told_phases, waiting
from changes.builds.models import JobStep
from changes.results import artifacts
from changes.web import call
from changes.web.pages import drawing, log_viewer, queue_words, told
from changes.web.pages.logview import Asked
from changes.web.params import parameters

pages = APIRouter()


@pages.get("/steps/{step_id:uuid}/")
def show_step(request: Request, step_id: UUID, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    with call.reading(request) as this:
        step = attempts.step(this.session, step_id)
        commands = queries.commands_of(this.session, [step.id])
        failures = queries.failures_of_step(this.session, step)
        values = {
            "step": step,
            "job": step.job,
            "build": step.job.build,
            "project": step.job.build.project,
            "commands": commands,
            "told_phases": told_phases.of(step.data),
            "artifacts": artifacts.of_step(this.session, step.id),
            "attempts": attempts.of_step(this.session, step),
            "reasons": [reasons.sentence(each.reason, each.data) for each in failures],
            "wrong": told.of_step(this.session, step),
            "waited_s": waited_s(step),
            "snapshot": snapshots.word_on(step),
            "waiting": what_it_waits_for(this.session, step),
            "view": log_viewer.of_step(request, this.session, step, commands, asked),
        }
        return drawing.page(request, "step.html", values)


def what_it_waits_for(session: Session, step: JobStep) -> str | None:
    if not waiting.waits(step):
        return None
    told = waiting.explain(session, step, silence_s=settings.get().node_silence_max_s)
    return queue_words.why_and_when(told)


def waited_s(step: JobStep) -> float | None:
    """An attempt that never began waited until its end; one that waits still counts on."""
    ended = step.date_started or step.date_finished or clock.now()
    return max(0.0, (ended - step.date_created).total_seconds())
