"""/agents/: what build agents ask and tell (protocol.py). Called all the time, hence plain SQL."""

import re
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.convertors import register_url_convertor

from changes import protocol
from changes.base import clock, db, ids, questions, storage
from changes.base.errors import Gone, Invalid
from changes.base.process import settings
from changes.builds import agent_keys, greeting, nodes, report
from changes.builds.rules import ReplaceLimits
from changes.people.rules import Scope
from changes.projects import patches
from changes.projects import queries as projects
from changes.results import artifacts, collector, logs, read_times
from changes.web import answers, call, errors, params, storable
from changes.web.asking import known, offers_for
from changes.web.paths import FileName
from changes.web.short_way import ShortWay
from changes.web.step_callers import agent_key, holding

api = APIRouter(prefix="/agents", tags=["agents"])
register_url_convertor("file", FileName())
ACCEPTED: dict[str, Any] = {}
# A question is short; a report carries what its commands have put out.
QUESTION_MAX_BYTES = 1024 * 1024
# Of a report that is read before anybody looks who sends it.
SHORT_MAX_BYTES = 128 * 1024
OFFSET = re.compile("[0-9]{1,19}")


class At(BaseModel):
    offset: int


async def read(request: Request, kind: type[Any], max_bytes: int = QUESTION_MAX_BYTES) -> Any:
    body = await params.body_of(request, max_bytes)
    try:
        told = msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Invalid(f"The message cannot be understood: {error}") from None
    if b"\\u0000" not in body:
        return told
    return msgspec.convert(storable.without_nul(msgspec.to_builtins(told)), kind)


@api.post("/tokens/")
def create_enrolment_token(request: Request) -> Response:
    """Lets one new agent in, once, within a day."""
    with call.begin(request, Scope.ADMIN) as this:
        return this.answer_secret({"token": nodes.make_enrolment_token(this.session)}, "token")


@api.post("/enrol/")
async def enrol(request: Request) -> Response:
    asked = await read(request, protocol.Enrolment)
    return answers.json(await run_in_threadpool(enrolled, asked))


def enrolled(asked: protocol.Enrolment) -> protocol.Enrolled:
    with db.transaction() as session:
        return nodes.enrol(session, asked)


@api.post("/hello/")
async def hello(request: Request) -> Response:
    """What an agent says of itself at each start; it hears what the server can take."""
    async with known(request) as (_, node):
        pass
    told = await read(request, protocol.Hello)
    return answers.json(await run_in_threadpool(greeted, node.id, told))


def greeted(node_id: UUID, told: protocol.Hello) -> protocol.Welcome:
    current = settings.get()
    limits = ReplaceLimits(current.jobstep_retry_max, current.jobstep_machine_retry_max)
    with db.transaction() as session:
        return greeting.greet(session, node_id, told, limits)


@api.post("/key/")
async def replace_key(request: Request) -> Response:
    """Another key for this agent; the old one is good until the new one was used, and a little longer."""
    async with known(request) as (_, node):
        pass
    return answers.json(await run_in_threadpool(next_key, node.id))


def next_key(node_id: UUID) -> protocol.NewKey:
    with db.transaction() as session:
        return protocol.NewKey(token=agent_keys.next_for(session, node_id))


@api.post("/steps/next/")
async def next_steps(request: Request) -> Response:
    """Held until there is a step, or until the agent stops."""
    asked = await read(request, protocol.Ask)
    request.state.held = True
    nodes.refuse_other_versions(asked.protocol)
    return answers.json(await offers_for(request, asked))


@api.post("/heartbeat/")
async def heartbeat(request: Request) -> Response:
    """Held until a step of this agent must stop, so that a cancel reaches it in milliseconds."""
    told = await read(request, protocol.Heartbeat)
    request.state.held = True
    step_ids = [ids.parse(text) for text in told.steps]
    bell = request.app.state.bell
    async with known(request) as (_, node):
        topic = f"stop:{node.id.hex}"
    with bell.listening(topic) as ring:
        stop = await heard(request, step_ids)
        if not stop and told.wait_s > 0 and not bell.closed.is_set():
            # A ring ends the wait in any case: it may be about a step handed out since. Nobody is
            # held so long that the sweep would take him for lost meanwhile.
            silence_s = settings.get().node_silence_max_s
            await bell.wait(ring, min(told.wait_s, protocol.HOLD_MAX_S, silence_s / 3))
            stop = await heard(request, step_ids)
    return answers.json(protocol.HeartbeatAnswer(stop=[step_id.hex for step_id in stop]))


async def heard(request: Request, step_ids: list[UUID]) -> list[UUID]:
    async with known(request) as (connection, node):
        return await nodes.heard(connection, node.id, step_ids)


@api.post("/steps/{step_id:uuid}/report/")
async def report_step(request: Request, step_id: UUID) -> Response:
    key = agent_key(request) if is_short(request) else None
    if key is None:
        # No memory is spent on strangers.
        async with holding(request, step_id) as (_, node_id):
            pass
    told = await read(request, protocol.StepReport, params.BODY_MAX_BYTES)
    try:
        is_in_time = await run_in_threadpool(accepted, key or node_id, step_id, told)
        if is_in_time is None:
            async with holding(request, step_id) as (_, node_id):
                pass
            is_in_time = await run_in_threadpool(accepted, node_id, step_id, told)
    except logs.OffsetExpected as error:
        return other_offset(error)
    if not is_in_time:
        raise Gone("This step is over; what was reported is kept, and changes nothing.")
    return answers.json(ACCEPTED)


def is_short(request: Request) -> bool:
    length = request.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= SHORT_MAX_BYTES


def accepted(who: UUID | str, step_id: UUID, told: protocol.StepReport) -> bool | None:
    """`who` is an agent, or its key. None where nobody has that key now: it may be a new or a former one."""
    end = told.log_end
    with db.transaction() as session:
        if told.status == "finished":
            questions.foresee(session, collector.left_behind_asked(step_id))
        node_id = nodes.with_key(session, who) if isinstance(who, str) else who
        if node_id is None:
            return None
        if end is not None:
            times = read_times_of(end.times, end.offset, len(end.data))
            logs.append_end(session, logs.Writing(step_id, node_id, end.name, times), end.offset, end.data)
        return report.accept(session, node_id, step_id, told, replace_limit=settings.get().jobstep_retry_max)


@api.post("/steps/{step_id:uuid}/logs/{name}/", openapi_extra=params.documented_query(At))
async def append_log(request: Request, step_id: UUID, name: str) -> Response:
    """Acknowledged means committed. Repeating is fine; leaving out bytes is not."""
    data = await params.body_of(request, protocol.LOG_CHUNK_MAX_BYTES)
    told = request.query_params.get("offset", "")
    offset = int(told) if OFFSET.fullmatch(told) else -1
    if not 0 <= offset <= storable.INTEGER_MAX - len(data):
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])
    told_times = request.headers.get(protocol.READ_HEADER, "")
    try:
        async with holding(request, step_id) as (connection, node_id):
            writing = logs.Writing(step_id, node_id, name, read_times_of(told_times, offset, len(data)))
            stored = await logs.append(connection, writing, offset, data)
    except logs.OffsetExpected as error:
        return other_offset(error)
    return answers.json(protocol.LogAccepted(offset=stored))


def other_offset(error: logs.OffsetExpected) -> Response:
    return answers.json({**errors.shape(error.message, error.problems), "offset": error.offset}, 409)


def read_times_of(told: str, offset: int, size: int) -> list[int]:
    now_ms = round(1000 * clock.now().timestamp())
    return read_times.read(told, offset=offset, size=size, now_ms=now_ms)


@api.put("/steps/{step_id:uuid}/artifacts/{path:file}")
async def put_artifact(request: Request, step_id: UUID, path: str) -> Response:
    async with holding(request, step_id) as (_, node_id):
        upload = artifacts.Upload(
            step_id=step_id,
            node_id=node_id,
            name=path,
            sha256=request.headers.get("Changes-SHA256"),
            size_max_bytes=settings.get().max_artifact_bytes,
        )
    await artifacts.store(request.app.state.pool, storage.storage.get(), upload, request.stream())
    return answers.json(ACCEPTED)


@api.get("/steps/{step_id:uuid}/patch/")
async def show_patch(request: Request, step_id: UUID) -> Response:
    async with holding(request, step_id) as (_, node_id):
        pass
    diff = await run_in_threadpool(patch_of, node_id, step_id)
    return Response(diff, media_type="application/octet-stream")


def patch_of(node_id: UUID, step_id: UUID) -> bytes:
    with db.transaction() as session:
        patch = projects.patch(session, report.patch_of_step(session, node_id, step_id))
        return patches.content(session, patch)


# What an agent calls for each step, and while it waits for one.
SHORT_WAYS = (
    ("/steps/next/", next_steps),
    ("/heartbeat/", heartbeat),
    ("/steps/{step_id:uuid}/report/", report_step),
    ("/steps/{step_id:uuid}/logs/{name}/", append_log),
)


def short_ways(prefix: str) -> list[ShortWay]:
    return [ShortWay(f"{prefix}{api.prefix}{path}", endpoint) for path, endpoint in SHORT_WAYS]
