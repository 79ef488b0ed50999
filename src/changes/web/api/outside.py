"""/builds/outside/: any CI tells of builds that ran there, all at once or bit by bit."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from changes import protocol
from changes.base import db, ids, storage
from changes.base.errors import Invalid
from changes.base.process import settings
from changes.builds import ask, outside, outside_report
from changes.people import users
from changes.people.rules import Scope
from changes.projects import queries as projects
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus, RepositoryBackend
from changes.results import artifacts, logs
from changes.web import answers, auth, call, errors, params, shapes, storable
from changes.web.outside_said import NAME_MAX, BuildSaid, StepSaid
from changes.web.params import documented, parameters

api = APIRouter(prefix="/builds/outside", tags=["builds of others"])
WHOLE_SHA = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@contextmanager
def permitted(request: Request) -> Iterator[db.Session]:
    """Not `call.begin`: a repeated report is known by its external_id, and goes on where it broke off."""
    with db.transaction() as session:
        auth.require(call.recognise(session, request), Scope.WRITE)
        yield session


# --- a build, or a part of it, at once ----------------------------------------------------


@api.post("/", openapi_extra=documented(BuildSaid))
async def report_build(request: Request, said: Annotated[BuildSaid, parameters(BuildSaid)]) -> Response:
    """Makes the build or finds it. With a result or test reports that part of it is ended, too."""
    build_id, step_id = await run_in_threadpool(begun, request, said)
    if step_id is not None:
        for data in said.log:
            await append_all(request, step_id, data)
        for name, data in said.reports():
            await put(request, step_id, name, in_one(data))
    return answers.json(await run_in_threadpool(told, request, said, build_id))


def begun(request: Request, said: BuildSaid) -> tuple[UUID, UUID | None]:
    """The build, and the step that files are still taken for."""
    with permitted(request) as session:
        project = project_of(session, said)
        build = outside.hear(session, project, what_was_told(request, session, said))
        step = outside.steps_by_job(session, build)[said.job]
        if step.is_finished:
            return build.id, None
        outside_report.start(session, step.id, said.date_started)
        return build.id, step.id


def told(request: Request, said: BuildSaid, build_id: UUID) -> dict[str, Any]:
    with permitted(request) as session:
        build = outside.build(session, build_id)
        step = outside.steps_by_job(session, build)[said.job]
        if said.is_ended:
            outside_report.end(session, step.id, said.ending())
        steps = outside.steps_by_job(session, build)
        return {
            **shapes.build(build),
            "outside": shapes.outside(outside.of_build(session, build_id)),
            "step": shapes.job_step(steps[said.job]),
            "jobs": [
                {"id": each.job_id.hex, "name": name, "step": shapes.job_step(each)}
                for name, each in steps.items()
            ],
        }


def what_was_told(request: Request, session: db.Session, said: BuildSaid) -> outside.Told:
    named = ask.read_author(said.author)
    return outside.Told(
        external_id=said.external_id or key_of(request) or ids.new().hex,
        sha=said.sha,
        jobs=[*said.jobs, said.job],
        branch=said.branch,
        label=said.label,
        message=said.message,
        url=said.page(),
        started=said.date_started or said.date_finished,
        author=users.author(session, *named) if named else None,
        tags=[said.tag] if said.tag else [],
    )


def key_of(request: Request) -> str:
    """What stands in the place of an id is one, and no longer or odder than others."""
    key = request.headers.get(call.HEADER, "")
    if key and (len(key) > NAME_MAX or not key.isprintable()):
        raise Invalid(f"An Idempotency-Key has at most {NAME_MAX} printable characters.", ["external_id"])
    return key


def project_of(session: db.Session, said: BuildSaid) -> Project:
    project = projects.project_or_none(session, said.project)
    if project is None or project.status != ProjectStatus.ACTIVE:
        raise Invalid(f"There is no active project {said.project!r}.", ["project"])
    # The commit may not be here, so nobody can look up what an abbreviation or a branch means.
    if project.repository.backend != RepositoryBackend.UNKNOWN and not WHOLE_SHA.fullmatch(said.sha):
        raise Invalid("sha must be the whole id of a commit: 40 hexadecimal digits.", ["sha"])
    return project


# --- a part of it, bit by bit -------------------------------------------------------------


@api.post("/steps/{step_id:uuid}/report/", openapi_extra=documented(StepSaid))
def report_step(request: Request, step_id: UUID, said: Annotated[StepSaid, parameters(StepSaid)]) -> Response:
    """A sign of life, or the end. 410: it has ended, in another way or because it was cancelled."""
    with permitted(request) as session:
        outside.heard_step(session, step_id)
        if said.status == "in_progress":
            outside_report.go_on(session, step_id, said.date_started)
        else:
            outside_report.end(session, step_id, said.ending())
        return answers.json(shapes.job_step(outside.step(session, step_id)))


@api.post("/steps/{step_id:uuid}/logs/{name}/")
async def append_log(request: Request, step_id: UUID, name: str, offset: int) -> Response:
    """Raw bytes. Repeating is fine; after leaving some out, 409 tells the offset to go on from."""
    await run_in_threadpool(hear_step, request, step_id)
    data = await params.body_of(request, protocol.LOG_CHUNK_MAX_BYTES)
    if not 0 <= offset <= storable.INTEGER_MAX - len(data):
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])
    try:
        async with request.app.state.pool.connection() as connection:
            stored = await logs.append(connection, logs.Writing(step_id, None, name), offset, data)
    except logs.OffsetExpected as error:
        return answers.json({**errors.shape(error.message, error.problems), "offset": error.offset}, 409)
    return answers.json(protocol.LogAccepted(offset=stored))


@api.put("/steps/{step_id:uuid}/artifacts/{path:file}")
async def put_artifact(request: Request, step_id: UUID, path: str) -> Response:
    """Raw bytes, as many as MAX_ARTIFACT_BYTES allows; never held in memory as a whole."""
    await run_in_threadpool(hear_step, request, step_id)
    await put(request, step_id, path, request.stream())
    return answers.json({})


def hear_step(request: Request, step_id: UUID) -> None:
    with permitted(request) as session:
        outside.heard_step(session, step_id)


async def append_all(request: Request, step_id: UUID, data: bytes) -> None:
    writing = logs.Writing(step_id, None, protocol.CONSOLE)
    for offset in range(0, len(data), protocol.LOG_CHUNK_MAX_BYTES):
        chunk = data[offset : offset + protocol.LOG_CHUNK_MAX_BYTES]
        async with request.app.state.pool.connection() as connection:
            await logs.append(connection, writing, offset, chunk)


async def put(request: Request, step_id: UUID, name: str, chunks: AsyncIterator[bytes]) -> None:
    upload = artifacts.Upload(
        step_id=step_id,
        node_id=None,
        name=name,
        sha256=request.headers.get("Changes-SHA256"),
        size_max_bytes=settings.get().max_artifact_bytes,
    )
    await artifacts.store(request.app.state.pool, storage.storage.get(), upload, chunks)


async def in_one(data: bytes) -> AsyncIterator[bytes]:
    yield data
