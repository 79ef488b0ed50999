"""One attempt at one step: its commands, what it left behind, and the end of its log."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.builds import queries, reasons
from changes.builds.models import JobStep
from changes.results import artifacts, logs
from changes.web import call
from changes.web.pages import drawing

pages = APIRouter()
CONSOLE = "console"
LINES_SHOWN = 500
BYTES_READ = 256 * 1024
LINE_CHARACTERS = 2000
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@pages.get("/steps/{step_id:uuid}/")
def show_step(request: Request, step_id: UUID) -> Response:
    with call.reading(request) as this:
        step = queries.step(this.session, step_id)
        told = queries.failures_of_step(this.session, step)
        values = {
            "step": step,
            "job": step.job,
            "build": step.job.build,
            "commands": queries.commands_of(this.session, [step.id]),
            "artifacts": artifacts.of_step(this.session, step.id),
            "reasons": [reasons.sentence(each.reason, each.data) for each in told],
            **log_of(this.session, step),
        }
        return drawing.page(request, "step.html", values)


def log_of(session: Session, step: JobStep) -> dict[str, Any]:
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    console = next((source for source in sources if source.name == CONSOLE), None)
    others = [source for source in sources if source is not console]
    if console is None:
        return {"log": None, "other_logs": others}
    data = logs.tail(session, console, bytes_max=BYTES_READ)
    return {"log": end_of(data, is_whole=len(data) == console.size_bytes), "other_logs": others}


@dataclass(frozen=True)
class End:
    """`first` is the number of the first line shown, 1 where nobody counted those before it."""

    lines: list[str]
    first: int
    is_cut: bool


def end_of(data: bytes, *, is_whole: bool) -> End:
    """The last lines, as text and nothing else."""
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not is_whole and len(lines) > 1:
        # It begins in the middle of a line, perhaps of a character.
        del lines[0]
    shown = lines[-LINES_SHOWN:]
    before = len(lines) - len(shown)
    return End([plain(line) for line in shown], before + 1 if is_whole else 1, bool(before) or not is_whole)


def plain(line: str) -> str:
    """What a terminal would show: progress bars paint over themselves, colours are left out."""
    last = line.rstrip("\r").rpartition("\r")[2]
    text = CONTROLS.sub("", ESCAPES.sub("", last))
    return f"{text[:LINE_CHARACTERS]}…" if len(text) > LINE_CHARACTERS else text
