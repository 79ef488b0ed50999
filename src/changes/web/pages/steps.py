"""One attempt at one step: its commands, what it left behind, its other attempts, and its log in parts."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import clock
from changes.base.db import Session
from changes.base.process import settings
from changes.builds import attempts, queries, reasons, snapshots, waiting
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.builds.waiting import Explanation
from changes.results import artifacts, logs
from changes.results.models import LogSource
from changes.web import call
from changes.web.pages import drawing, logview
from changes.web.pages.logview import LogPart
from changes.web.params import Parameters, parameters

pages = APIRouter()
CONSOLE = "console"
Offset = Annotated[int | None, Field(ge=0, lt=2**63)]


class Place(Parameters):
    """The part of the log from one byte on, or up to one; without any of both its end."""

    since: Annotated[Offset, Field(alias="from")] = None
    until: Annotated[Offset, Field(alias="to")] = None


@pages.get("/steps/{step_id:uuid}/")
def show_step(request: Request, step_id: UUID, asked: Annotated[Place, parameters(Place)]) -> Response:
    with call.reading(request) as this:
        step = attempts.step(this.session, step_id)
        told = queries.failures_of_step(this.session, step)
        values = {
            "step": step,
            "job": step.job,
            "build": step.job.build,
            "project": step.job.build.project,
            "commands": queries.commands_of(this.session, [step.id]),
            "artifacts": artifacts.of_step(this.session, step.id),
            "attempts": attempts.of_step(this.session, step),
            "reasons": [reasons.sentence(each.reason, each.data) for each in told],
            "waited_s": waited_s(step),
            "snapshot": snapshots.word_on(step),
            "waiting": what_it_waits_for(this.session, step),
            **log_of(this.session, step, asked),
        }
        return drawing.page(request, "step.html", values)


def what_it_waits_for(session: Session, step: JobStep) -> Explanation | None:
    if step.status != Status.PENDING_ALLOCATION:
        return None
    return waiting.explain(session, step, silence_s=settings.get().node_silence_max_s)


def waited_s(step: JobStep) -> float | None:
    """An attempt that never began waited until its end; one that waits still counts on."""
    ended = step.date_started or step.date_finished or clock.now()
    return max(0.0, (ended - step.date_created).total_seconds())


def log_of(session: Session, step: JobStep, asked: Place) -> dict[str, Any]:
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    console = next((source for source in sources if source.name == CONSOLE), None)
    others = [source for source in sources if source is not console]
    if console is None:
        return {"console": None, "log": None, "live": None, "other_logs": others}
    part = logview.part(session, console, since=asked.since, until=asked.until)
    is_followed = not step.is_finished and asked.since is None and asked.until is None
    return {
        "console": console,
        "log": part,
        "live": end_of(console, part) if is_followed else None,
        "other_logs": others,
    }


def end_of(source: LogSource, part: LogPart) -> dict[str, Any]:
    """Where the script goes on: at the first line that is not complete."""
    last = part.first + len(part.lines) if part.first is not None else len(part.lines) + 1
    return {
        "source": source.id.hex,
        "offset": part.end - part.open_bytes,
        "line": last - (1 if part.open_bytes else 0),
        "is_open": part.open_bytes > 0,
    }
