"""/agents/steps/<id>/…: how an agent enters the repositories of a step, and hands in what it left."""

from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.convertors import register_url_convertor

from changes.base import db, storage
from changes.base.errors import Invalid
from changes.base.process import settings
from changes.builds import logins
from changes.protocol import (
    BATCH_MAX_BYTES,
    PART_MAX_BYTES,
    ArtifactBatch,
    ArtifactsRefused,
    LogAccepted,
    Login,
)
from changes.results import uploads
from changes.results.artifacts import Upload
from changes.results.logs import OffsetExpected
from changes.results.uploads import Part, Small
from changes.web import answers, errors, params, storable
from changes.web.asking import known
from changes.web.paths import FileName
from changes.web.step_callers import holding

api = APIRouter(prefix="/agents", tags=["agents"])
register_url_convertor("file", FileName())


@api.get("/steps/{step_id:uuid}/logins/")
async def show_logins(request: Request, step_id: UUID) -> Response:
    """For the agent's own key alone: a step's token may be known to the commands of the step."""
    async with known(request) as (_, node):
        node_id = node.id
    return answers.json(await run_in_threadpool(logins_of, node_id, step_id))


def logins_of(node_id: UUID, step_id: UUID) -> list[Login]:
    with db.transaction() as session:
        return logins.for_step(session, node_id, step_id)


@api.post("/steps/{step_id:uuid}/artifacts/")
async def put_small_artifacts(request: Request, step_id: UUID) -> Response:
    """Many in one request; each is stored, or named with the reason why not."""
    async with holding(request, step_id) as (_, node_id):
        pass
    body = await params.body_of(request, BATCH_MAX_BYTES)
    try:
        batch = msgspec.json.decode(body, type=ArtifactBatch)
    except msgspec.MsgspecError as error:
        raise Invalid(f"The message cannot be understood: {error}") from None
    whose = Upload(step_id, node_id, "", None, settings.get().max_artifact_bytes)
    files = [Small(name_of(each.path), each.sha256, each.content) for each in batch.files]
    refused = await uploads.store_many(request.app.state.pool, storage.storage.get(), whose, files)
    sent_as = {file.name: each.path for file, each in zip(files, batch.files, strict=True)}
    return answers.json(ArtifactsRefused(refused={sent_as[name]: why for name, why in refused}))


def name_of(path: str) -> str:
    """As a file's path in an address: what is no UTF-8 becomes the sign for that."""
    return unquote_to_bytes(path).decode("utf-8", "replace")


@api.put("/steps/{step_id:uuid}/uploads/{path:file}")
async def put_part(request: Request, step_id: UUID, path: str, offset: int = 0, size: int = 0) -> Response:
    """Acknowledged means stored; after a cut the answer to any part says where to go on."""
    async with holding(request, step_id) as (_, node_id):
        pass
    sha256 = request.headers.get("Changes-SHA256", "").lower()
    upload = Upload(step_id, node_id, path, sha256, settings.get().max_artifact_bytes)
    if not 0 <= offset < size <= storable.INTEGER_MAX:
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])
    part = Part(offset, size, PART_MAX_BYTES)
    try:
        stored = await uploads.store_part(
            request.app.state.pool, storage.storage.get(), upload, part, request.stream()
        )
    except OffsetExpected as error:
        return answers.json({**errors.shape(error.message, error.problems), "offset": error.offset}, 409)
    return answers.json(LogAccepted(offset=stored))
