"""/original/<key>/api/0/: what schedulers and agents of the original ask and tell, as they do it.

Not for new programs: ours speak /api/0/agents/. Paths, fields and answers are the original's.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from changes import protocol
from changes.base import ids, storage
from changes.base.errors import Gone, Invalid
from changes.base.process import settings
from changes.builds import nodes, snapshots
from changes.builds.original import allocation, configuration, keys, machines
from changes.builds.original import told as original
from changes.builds.original.allocation import Candidate
from changes.builds.original.configuration import Start
from changes.builds.original.scripts import Surroundings
from changes.builds.original.told import NotAllocated
from changes.builds.rules import Result
from changes.results import artifacts
from changes.results.original_store import buckets, contents
from changes.results.original_store.contents import Piece
from changes.web import answers, errors, original_door, original_shapes, params, shapes, snapshot_shapes
from changes.web.original_door import PREFIX, opened, told
from changes.web.original_said import CommandSaid, FileSaid, ImageSaid, LogSaid, StepIds, StepSaid

# Old clients, whose contract is written down elsewhere, must not look like a choice for new ones.
api = APIRouter(prefix=f"{PREFIX}/api/0", include_in_schema=False)
LIMIT = 200
DIGITS_MAX = 9


# --- the scheduler -----------------------------------------------------------------------


@api.get("/jobsteps/allocate/")
async def list_candidates(request: Request) -> Response:
    """What waits, in the order in which our own agents would get it now."""
    cluster = request.query_params.get("cluster") or None
    limit = whole_number(request.query_params.get("limit"), LIMIT)
    node_id, key_id = await run_in_threadpool(scheduler, request, cluster)
    async with request.app.state.pool.connection() as connection:
        found = await allocation.look(
            connection, node_id, limit=max(1, limit), silence_s=settings.get().node_silence_max_s
        )
    return answers.json({"jobsteps": await run_in_threadpool(shown, request, key_id, found)})


def whole_number(text: str | None, usual: int) -> int:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX):
        raise Invalid("limit must be a number", ["limit"])
    return int(text) if text else usual


def scheduler(request: Request, cluster: str | None) -> tuple[UUID, UUID]:
    """Its node and its key."""
    with opened(request) as (session, access):
        keys.require_scheduler(access)
        return machines.of_scheduler(session, access.key_id, cluster), access.key_id


def shown(request: Request, key_id: UUID, found: list[Candidate]) -> list[dict[str, Any]]:
    with opened(request) as (session, _):
        steps = original.waiting_steps(session, [UUID(each.offer.id) for each in found])
        adapters = original.adapters_of(session, list(steps.values()))
        images = original.images_of(session, list(steps.values()))
        shaped = []
        for each in found:
            step = steps.get(UUID(each.offer.id))
            if step is not None:
                secret = keys.secret_of_step(key_id, step.id)
                start = Start(settings.get().original_client, keys.address_of(secret), adapters[step.id])
                line = configuration.command_line(start, each.offer, step.data)
                shaped.append(original_shapes.candidate(step, line, images.get(step.id)))
        return shaped


@api.post("/jobsteps/allocate/")
async def allocate(request: Request) -> Response:
    """All or nothing."""
    asked = await told(request, StepIds)
    if asked.jobstep_ids is None:
        raise Invalid("Missing jobstep_ids attribute", ["jobstep_ids"])
    wanted = [allocatable(text) for text in asked.jobstep_ids]
    node_id, _ = await run_in_threadpool(scheduler, request, asked.cluster)
    async with request.app.state.pool.connection() as connection:
        taken = await allocation.take(connection, node_id, wanted, asked.cluster)
    return answers.json({"allocated": [step_id.hex for step_id in taken]})


def allocatable(text: str) -> UUID:
    try:
        return ids.parse(text)
    except Invalid:
        raise Invalid(f"Invalid jobstep id sent to jobstep_allocate: {text[:64]}", ["jobstep_ids"]) from None


@api.post("/jobsteps/needs_abort/")
async def list_to_abort(request: Request) -> Response:
    asked = await told(request, StepIds)
    if asked.jobstep_ids is None:
        raise Invalid("Missing jobstep_ids attribute", ["jobstep_ids"])
    wanted = [ids.parse(text) for text in asked.jobstep_ids]

    def look() -> list[str]:
        with opened(request) as (session, access):
            keys.require_scheduler(access)
            return [step_id.hex for step_id in original.to_abort(session, access, wanted)]

    return answers.json({"needs_abort": await run_in_threadpool(look)})


@api.post("/jobsteps/{step_id:uuid}/deallocate/")
async def deallocate(request: Request, step_id: UUID) -> Response:
    await original_door.no_body(request)

    def give_back() -> dict[str, Any]:
        with opened(request) as (session, access):
            keys.require_scheduler(access)
            return original_shapes.step(original.give_back(session, access, step_id))

    try:
        return answers.json(await run_in_threadpool(give_back))
    except NotAllocated as error:
        refusal = errors.shape(error.message, error.problems)
        return answers.json({**refusal, "actual_status": error.status_name}, 400)


# --- the agent ---------------------------------------------------------------------------


@api.get("/jobsteps/{step_id:uuid}/")
async def configure(request: Request, step_id: UUID) -> Response:
    await run_in_threadpool(original_door.let_in, request)
    async with request.app.state.pool.connection() as connection:
        offer = await allocation.offer_of(connection, step_id)

    def configured() -> dict[str, Any]:
        with opened(request) as (session, access):
            step, more = original.described(session, access, step_id)
            about = Surroundings(offer, original.patch_of(session, step))
            return original_shapes.configured(step, about, more)

    return answers.json(await run_in_threadpool(configured))


@api.post("/jobsteps/{step_id:uuid}/")
async def report_step(request: Request, step_id: UUID) -> Response:
    said = (await told(request, StepSaid)).read()

    def hear() -> dict[str, Any]:
        with opened(request) as (session, access):
            return original_shapes.step(original.hear(session, access, step_id, said))

    return answers.json(await run_in_threadpool(hear))


@api.post("/jobsteps/{step_id:uuid}/heartbeat/")
async def heartbeat(request: Request, step_id: UUID) -> Response:
    await original_door.no_body(request)

    def known() -> tuple[UUID | None, Result, dict[str, Any]]:
        with opened(request) as (session, access):
            step = keys.step(session, access, step_id)
            return step.node_id, step.result, original_shapes.step(step)

    node_id, result, shaped = await run_in_threadpool(known)
    if result == Result.ABORTED:
        raise Gone("Aborted")
    if node_id is not None:
        async with request.app.state.pool.connection() as connection:
            await machines.seen(connection, node_id)
            await nodes.heard(connection, node_id, [step_id])
    return answers.json(shaped)


@api.post("/commands/{command_id:uuid}/")
async def report_command(request: Request, command_id: UUID) -> Response:
    said = (await told(request, CommandSaid, params.BODY_MAX_BYTES)).read()

    def hear() -> dict[str, Any]:
        with opened(request) as (session, access):
            command = original.hear_of_command(session, access, command_id, said)
            return {"id": command_id.hex} if command is None else shapes.command(command)

    return answers.json(await run_in_threadpool(hear))


@api.post("/jobsteps/{step_id:uuid}/logappend/")
async def append_log(request: Request, step_id: UUID) -> Response:
    """At the end, or at `offset`; what is stored there already is success without a word."""
    said = await told(request, LogSaid, protocol.LOG_CHUNK_MAX_BYTES * 2)
    data = original_door.masked(request, said.text.encode(errors="replace"))
    await run_in_threadpool(require_step, request, step_id)
    async with request.app.state.pool.connection() as connection:
        end = 0
        for start in range(0, len(data), protocol.LOG_CHUNK_MAX_BYTES):
            part = data[start : start + protocol.LOG_CHUNK_MAX_BYTES]
            offset = None if said.offset is None else said.offset + start
            end = await contents.append(connection, Piece(step_id, said.source, part, offset))
    chunk = {"offset": max(0, end - len(data)), "size": len(data)}
    return answers.json({"source": {"name": said.source, "step": {"id": step_id.hex}}, "chunks": [chunk]})


@api.post("/jobsteps/{step_id:uuid}/artifacts/")
async def add_artifact(request: Request, step_id: UUID) -> Response:
    """As agents did before there was a store. The first of a name is kept."""
    said = await told(request, FileSaid, params.BODY_MAX_BYTES)
    name = buckets.checked_path(said.name)

    def holder() -> tuple[UUID | None, bool]:
        with opened(request) as (session, access):
            step = keys.step(session, access, step_id)
            if step.result == Result.ABORTED:
                raise Gone("Aborted")
            return step.node_id, artifacts.named(session, step_id, name) is not None

    node_id, is_known = await run_in_threadpool(holder)
    if is_known:
        return Response(status_code=204)
    most = settings.get().max_artifact_bytes
    upload = artifacts.Upload(step_id, node_id, name, sha256=None, size_max_bytes=most)
    await artifacts.store(request.app.state.pool, storage.storage.get(), upload, in_one(said.file))
    return answers.json({"id": await run_in_threadpool(id_of_artifact, request, step_id, name)}, 201)


def id_of_artifact(request: Request, step_id: UUID, name: str) -> str | None:
    with opened(request) as (session, _):
        found = artifacts.named(session, step_id, name)
        return found.id.hex if found is not None else None


async def in_one(data: bytes) -> AsyncIterator[bytes]:
    yield data


@api.get("/jobsteps/{step_id:uuid}/artifacts/")
def list_artifacts(request: Request, step_id: UUID) -> Response:
    with opened(request) as (session, access):
        keys.step(session, access, step_id)
        found = artifacts.of_step(session, step_id)
        return answers.json({"artifacts": [shapes.artifact(each) for each in found]})


def require_step(request: Request, step_id: UUID) -> None:
    with opened(request) as (session, access):
        keys.step(session, access, step_id)


@api.post("/snapshotimages/{image_id:uuid}/")
async def report_image(request: Request, image_id: UUID) -> Response:
    """Where its bytes are, the agent knows; the server learns whether there are any."""
    said = await told(request, ImageSaid)

    def hear() -> dict[str, Any]:
        with opened(request) as (session, access):
            keys.step(session, access, snapshots.maker_of(session, image_id))
            snapshots.note_told(session, image_id, said.status)
            return snapshot_shapes.image(snapshots.image(session, image_id))

    return answers.json(await run_in_threadpool(hear))


@api.get("/snapshotimages/{image_id:uuid}/")
async def show_image(request: Request, image_id: UUID) -> Response:
    def shown() -> dict[str, Any]:
        with opened(request) as (session, access):
            keys.step(session, access, snapshots.maker_of(session, image_id))
            return snapshot_shapes.image(snapshots.image(session, image_id))

    return answers.json(await run_in_threadpool(shown))
