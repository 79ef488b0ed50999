"""/agents/steps/<id>/…: what outlives a step: bytes in parts, caches by key, the image of a snapshot."""

from collections.abc import Iterator
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from changes import protocol
from changes.base import db
from changes.base.errors import Forbidden, Invalid
from changes.builds import blobs, caches, snapshots
from changes.builds.blobs import Holder, OffsetExpected, Part
from changes.builds.offers import IMAGE
from changes.protocol import LogAccepted
from changes.web import answers, errors, params, storable
from changes.web.api.agents import ACCEPTED, read
from changes.web.step_callers import holding

api = APIRouter(prefix="/agents", tags=["agents"])


async def holder_of(request: Request, step_id: UUID) -> Holder:
    async with holding(request, step_id) as (_, node_id):
        return Holder(step_id, node_id)


@api.put("/steps/{step_id:uuid}/blobs/{sha256}/")
async def put_blob(request: Request, step_id: UUID, sha256: str, offset: int = 0, size: int = 0) -> Response:
    """Acknowledged means stored; after a cut the answer to any part says where to go on."""
    holder = await holder_of(request, step_id)
    if not 0 <= offset < size <= storable.INTEGER_MAX:
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])
    data = await params.body_of(request, protocol.PART_MAX_BYTES)
    try:
        stored = await run_in_threadpool(kept, holder, Part(sha256.lower(), size, offset, data))
    except OffsetExpected as error:
        return answers.json({**errors.shape(error.message, error.problems), "offset": error.offset}, 409)
    return answers.json(LogAccepted(offset=stored))


def kept(holder: Holder, part: Part) -> int:
    with db.transaction() as session:
        return blobs.store_part(session, holder, part)


@api.get("/steps/{step_id:uuid}/blobs/{sha256}/")
async def show_blob(request: Request, step_id: UUID, sha256: str, offset: int = 0) -> Response:
    """Only what this step begins with, or a cache that it may read."""
    holder = await holder_of(request, step_id)
    data = await run_in_threadpool(wanted, holder, sha256.lower(), offset)
    return StreamingResponse(data, media_type="application/octet-stream", headers=answers.HEADERS)


def wanted(holder: Holder, sha256: str, offset: int) -> Iterator[bytes]:
    with db.transaction() as session:
        step = blobs.held(session, holder)
        is_its_image = step.data.get(IMAGE, {}).get("sha256") == sha256
        if not is_its_image and not caches.may_read(session, caches.build_of(session, step), sha256):
            raise Forbidden("This step has no right to these bytes.")
        return blobs.read(session, sha256, offset)


@api.post("/steps/{step_id:uuid}/caches/find/")
async def find_cache(request: Request, step_id: UUID) -> Response:
    holder = await holder_of(request, step_id)
    ask = await read(request, protocol.CacheAsk)
    return answers.json(await run_in_threadpool(found, holder, ask))


def found(holder: Holder, ask: protocol.CacheAsk) -> protocol.CacheFound:
    with db.transaction() as session:
        return caches.find(session, holder, ask)


@api.post("/steps/{step_id:uuid}/caches/")
async def save_cache(request: Request, step_id: UUID) -> Response:
    """A key that is there already stays as it is."""
    holder = await holder_of(request, step_id)
    await run_in_threadpool(saved, holder, await read(request, protocol.CacheSave))
    return answers.json(ACCEPTED)


def saved(holder: Holder, asked: protocol.CacheSave) -> None:
    with db.transaction() as session:
        caches.save(session, holder, asked)


@api.post("/steps/{step_id:uuid}/snapshot/")
async def note_snapshot(request: Request, step_id: UUID) -> Response:
    holder = await holder_of(request, step_id)
    await run_in_threadpool(noted, holder, await read(request, protocol.SnapshotMade))
    return answers.json(ACCEPTED)


def noted(holder: Holder, made: protocol.SnapshotMade) -> None:
    with db.transaction() as session:
        snapshots.note_made(session, holder, made)
