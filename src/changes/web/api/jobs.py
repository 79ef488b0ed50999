"""/jobs/ and /jobsteps/: what a build is made of, with its logs and artifacts."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid5

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid
from changes.builds import anatomy, attempts, queries, step_summary, told_phases
from changes.builds.models import JobStep
from changes.builds.rules import Result, Status
from changes.builds.step_summary import Counted
from changes.people.rules import Scope
from changes.results import artifacts, logs, statistics
from changes.web import call, paging, shapes, streams
from changes.web.params import Flag, OptionalText, Parameters, documented_query, parameters

api = APIRouter(tags=["jobs"])
TOLD_OF_ATTEMPTS = ("id", "attempt", "origin", "status", "result", "node", "dateStarted", "dateFinished")


@api.get("/jobs/{job_id:uuid}/")
def show_job(request: Request, job_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        job = queries.job(this.session, job_id)
        steps = [step.id for step in queries.steps_of(this.session, [job.id])]
        sources = logs.sources_of_steps(this.session, steps)
        stats = statistics.of_items(this.session, [job.id])[job.id]
        found = [shapes.log_source(source) for step in steps for source in sources[step]]
        owners = anatomy.owners_of(this.session, job_id)
        return this.answer({**shapes.job(job, stats), "owners": owners, "logs": found})


@api.get("/jobs/{job_id:uuid}/phases/")
def list_phases(request: Request, job_id: UUID) -> Response:
    """Phases in order, each with all attempts at its steps and their commands; behind it what these told."""
    with call.begin(request, Scope.READ) as this:
        job = queries.job(this.session, job_id)
        steps = queries.steps_of(this.session, [job.id])
        ids = [step.id for step in steps]
        sources = logs.sources_of_steps(this.session, ids)
        commands: dict[UUID, list[dict[str, Any]]] = {step_id: [] for step_id in ids}
        for command in queries.commands_of(this.session, ids):
            commands[command.step_id].append(shapes.command(command))
        shaped = [
            {
                **shapes.job_step(step),
                "commands": commands[step.id],
                "logSources": [shapes.log_source(source) for source in sources[step.id]],
            }
            for step in steps
        ]
        answer: list[dict[str, Any]] = []
        for phase in queries.phases_of(this.session, job):
            mine = [each for each in shaped if each["phase"]["id"] == phase.id.hex]
            answer.append({**shapes.phase(phase), "steps": mine, "toldBy": None})
            answer += [told for step in steps if step.phase_id == phase.id for told in told_by(step)]
        return this.answer(answer)


def told_by(step: JobStep) -> list[dict[str, Any]]:
    """The phases that a step had within itself, as far as it told of them; in the shape of the others."""
    if step.replacement_id is not None:
        return []
    return [
        {
            "id": uuid5(step.id, f"phase {place}").hex,
            "name": told.name,
            "status": shapes.enum(Status.FINISHED),
            "result": shapes.enum(Result.FAILED if told.is_failed else Result.PASSED),
            "duration": told.duration_ms,
            "dateCreated": shapes.when(step.date_created),
            "dateStarted": None,
            "dateFinished": shapes.when(step.date_finished),
            "steps": [],
            "toldBy": {"id": step.id.hex},
        }
        for place, told in enumerate(told_phases.of(step.data))
    ]


@api.get("/jobs/{job_id:uuid}/artifacts/", openapi_extra=documented_query(paged=True))
def list_artifacts(request: Request, job_id: UUID) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = artifacts.of_job(this.session, queries.job(this.session, job_id), page)
        shaped, headers = paging.shaped(request, page, part, shapes.artifact)
        return this.answer(shaped, headers=headers)


class StepsAsked(Parameters):
    status: Annotated[OptionalText, Field(description="one that has not ended; else all of them")] = None
    check_resources: Annotated[Flag, Field(description="also what they reserve")] = False


@api.get("/jobsteps/aggregate_by_status/", openapi_extra=documented_query(StepsAsked))
def count_steps(request: Request, asked: Annotated[StepsAsked, parameters(StepsAsked)]) -> Response:
    """How many steps go on in each status, with the oldest of each."""
    names = {each.name.lower(): each for each in step_summary.GOING_ON}
    if asked.status is not None and asked.status not in names:
        raise Invalid(f"status must be one of {', '.join(sorted(names))}", ["status"])
    wanted = {names[asked.status]} if asked.status else step_summary.GOING_ON
    with call.begin(request, Scope.READ) as this:
        found = step_summary.count(this.session, wanted)
        shaped = partial(counted, with_resources=asked.check_resources)
        summary = {
            "by_cluster": {name: shaped(each) for name, each in found.by_cluster.items()},
            "by_project": {slug: shaped(each) for slug, each in found.by_project.items()},
            "global": shaped(found.overall),
        }
        return this.answer({"jobsteps": summary})


def counted(found: Sequence[Counted], *, with_resources: bool) -> dict[str, Any]:
    return {
        each.status.name.lower(): {
            "count": each.count,
            "created": shapes.when(each.created),
            "jobstep_id": each.oldest.hex,
            **({"cpus": each.cpus, "mem": each.memory_mb} if with_resources else {}),
        }
        for each in found
    }


@api.get("/jobsteps/{step_id:uuid}/")
def show_step(request: Request, step_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        step = queries.step(this.session, step_id)
        sources = logs.sources_of_steps(this.session, [step.id])[step.id]
        return this.answer(
            {
                **shapes.job_step(step),
                "job": {"id": step.job_id.hex, "number": step.job.number},
                "build": {"id": step.job.build_id.hex},
                "attempts": [attempt(each) for each in attempts.of_step(this.session, step)],
                "commands": [shapes.command(each) for each in queries.commands_of(this.session, [step.id])],
                "logSources": [shapes.log_source(source) for source in sources],
            }
        )


def attempt(each: JobStep) -> dict[str, Any]:
    """One of those at the same piece of work, as short as it can be told."""
    shaped = shapes.job_step(each)
    return {name: shaped[name] for name in TOLD_OF_ATTEMPTS}


@api.get("/jobsteps/{step_id:uuid}/artifacts/")
def list_artifacts_of_step(request: Request, step_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        queries.step(this.session, step_id)
        found = artifacts.of_step(this.session, step_id)
        return this.answer({"artifacts": [shapes.artifact(each) for each in found]})


@api.get("/artifacts/{artifact_id:uuid}/content/")
def artifact_content(request: Request, artifact_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return streams.artifact(artifacts.by_id(this.session, artifact_id), request)
