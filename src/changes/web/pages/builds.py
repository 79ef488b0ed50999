"""One build: how it ended, why it is not green, and everything it ran."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.db import Session
from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import queries, reasons, waiting
from changes.builds.models import Build, JobStep
from changes.builds.rules import CAUSE_LABELS, Result, Status
from changes.projects import queries as projects
from changes.projects.models import Project
from changes.results import testruns
from changes.web import call
from changes.web.pages import drawing, phrasing, states
from changes.web.pages.charts import Span
from changes.web.pages.states import state_of
from changes.web.paging import DIGITS_MAX

pages = APIRouter()
TESTS_SHOWN = 25
STEPS_SHOWN = 500
TIMELINE_ROWS = 60
MESSAGE_LINES, MESSAGE_CHARACTERS = 30, 4000
Row = TypeVar("Row")


@pages.get("/projects/{slug}/builds/{reference}/")
def show_build(request: Request, slug: str, reference: str) -> Response:
    with call.reading(request) as this:
        build = find(this.session, projects.project(this.session, slug), reference)
        values = {
            "build": build,
            "waiting": waiting.sentence(this.session, build, silence_s=settings.get().node_silence_max_s),
            "cause": CAUSE_LABELS.get(build.cause, build.cause.name.capitalize()),
            **what_ran(this.session, build),
            **what_tests_said(this.session, build),
        }
        return drawing.page(request, "build.html", values)


def find(session: Session, project: Project, reference: str) -> Build:
    """By the number people say, or by the id that links of the API carry."""
    if reference.isdecimal() and len(reference) <= DIGITS_MAX:
        return queries.build_by_number(session, project, int(reference))
    try:
        build = queries.build(session, UUID(reference))
    except ValueError:
        raise NotFound(f"The project {project.slug} has no such build.") from None
    if build.project_id != project.id:
        raise NotFound(f"The project {project.slug} has no such build.")
    return build


def what_ran(session: Session, build: Build) -> dict[str, Any]:
    jobs = queries.jobs_of(session, [build.id])[build.id]
    phases = queries.phases_of_jobs(session, [job.id for job in jobs])
    steps = queries.steps_of_build(session, build.id, limit=STEPS_SHOWN)
    commands = queries.commands_of(session, [step.id for step in steps])
    told = queries.failures_of(session, [build.id])[build.id]
    lost = waiting.lost_attempts(session, build.id)
    now = clock.now()
    return {
        "jobs": jobs,
        "phases": grouped(phases, lambda phase: phase.job_id),
        "steps": grouped(steps, lambda step: step.phase_id),
        "commands": grouped(commands, lambda command: command.step_id),
        "reasons": [(reasons.sentence(each.reason, each.data), each.step_id) for each in told],
        "lost": {each.step_id: reasons.sentence(each.reason, each.data) for each in lost},
        "timeline": timeline(build, steps[:TIMELINE_ROWS], now),
        "total_s": ((build.date_finished or now) - build.date_created).total_seconds(),
        "has_more_steps": len(steps) == STEPS_SHOWN,
    }


def grouped(rows: Iterable[Row], key: Callable[[Row], UUID]) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def what_tests_said(session: Session, build: Build) -> dict[str, Any]:
    counts = testruns.counts_of_build(session, build.id)
    failed = testruns.failures_of_build(session, build.id, limit=TESTS_SHOWN)
    messages = testruns.messages(session, [run.id for run, _ in failed])
    return {
        "test_parts": [(states.OF_RESULT[result], counts[result]) for result in sorted(counts)],
        "test_count": sum(counts.values()),
        "failed_count": counts.get(Result.FAILED, 0),
        "failed": [(run, test, excerpt(messages.get(run.id, ""))) for run, test in failed],
        "sentence": sentence(build, counts, clock.now()),
    }


def excerpt(text: str) -> str:
    """The beginning says what went wrong; the whole is in the log."""
    lines = text[:MESSAGE_CHARACTERS].strip("\n").split("\n")
    shown = "\n".join(lines[:MESSAGE_LINES])
    return f"{shown}\n…" if len(lines) > MESSAGE_LINES or len(text) > MESSAGE_CHARACTERS else shown


def sentence(build: Build, counts: Mapping[Result, int], now: datetime) -> str:
    """The answer to the one question everybody comes with."""
    began = build.date_started or build.date_created
    took = phrasing.duration(((build.date_finished or now) - began).total_seconds())
    failed, total = counts.get(Result.FAILED, 0), sum(counts.values())
    if build.status == Status.FINISHED:
        begins = f"{state_of(build.status, build.result).word} after {took}"
    elif build.date_started is None:
        begins = f"Waiting for a machine since {took}"
    else:
        begins = f"Running since {took}"
    if failed:
        return f"{begins}; {phrasing.number(failed)} of {phrasing.counted(total, 'test')} failed."
    return f"{begins}; {phrasing.counted(total, 'test')}, none failed." if total else f"{begins}."


def timeline(build: Build, steps: Sequence[JobStep], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "label": label_of(step),
            "href": f"/steps/{step.id.hex}/",
            "state": state_of(step.status, step.result),
            "spans": spans(step, build.date_created, now),
        }
        for step in steps
    ]


def label_of(step: JobStep) -> str:
    return f"{step.label}, attempt {step.attempt}" if step.attempt > 1 else step.label


def spans(step: JobStep, since: datetime, now: datetime) -> list[Span]:
    """Seconds since the build was asked for: waited, then ran."""
    asked_s = max(0.0, (step.date_created - since).total_seconds())
    ended_s = max(asked_s, ((step.date_finished or now) - since).total_seconds())
    began_s = ended_s if step.date_started is None else (step.date_started - since).total_seconds()
    # A machine's clock may be ahead of or behind ours.
    began_s = min(max(began_s, asked_s), ended_s)
    waited = Span(asked_s, began_s, states.WAITING, f"waited {phrasing.duration(began_s - asked_s)}")
    if step.date_started is None:
        return [waited]
    state = state_of(step.status, step.result)
    ran = Span(began_s, ended_s, state, f"{state.word.lower()} after {phrasing.duration(ended_s - began_s)}")
    return [waited, ran]
