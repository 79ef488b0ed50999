"""/original/<key>/store/: the artifact store of the original's agents, within this server.

What is put here becomes log or artifact of the step. An answer that says yes is exactly 200. Both with
and without a slash at the end, as its clients write it.
"""

import base64
import binascii
import codecs
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from changes.base import db, ids, storage
from changes.base.errors import Invalid, NotFound
from changes.base.process import settings
from changes.builds.models import JobStep
from changes.builds.original import keys
from changes.protocol import LOG_CHUNK_MAX_BYTES
from changes.results.original_store import buckets, contents
from changes.results.original_store.contents import Piece
from changes.results.original_store.models import ArtifactState, StoreArtifact
from changes.web import answers, byte_ranges, original_door, original_shapes, streams
from changes.web.byte_ranges import Span
from changes.web.original_door import PREFIX, opened, told
from changes.web.original_said import ArtifactSaid, BucketSaid, PieceSaid

api = APIRouter(prefix=f"{PREFIX}/store", include_in_schema=False)
BUCKET = "/buckets/{bucket}"
ARTIFACT = f"{BUCKET}/artifacts/{{name}}"
# Base64 and what stands around it.
PIECE_MAX_BYTES = 2 * LOG_CHUNK_MAX_BYTES
CHUNKED_MAX_BYTES = 1_000_000


def step_id_of(bucket: str) -> UUID:
    try:
        return ids.parse(bucket)
    except Invalid:
        raise NotFound("Bucket not found") from None


@api.get("/")
@api.get("/version")
def show_version(request: Request) -> Response:
    original_door.let_in(request)
    return Response("Changes, with an artifact store of its own\n", media_type="text/plain")


# --- buckets -----------------------------------------------------------------------------


@api.post("/buckets/")
@api.post("/buckets")
async def create_bucket(request: Request) -> Response:
    asked = await told(request, BucketSaid)
    if not asked.id:
        raise Invalid("Bucket ID not provided", ["id"])
    if not asked.owner:
        raise Invalid("Bucket Owner not provided", ["owner"])

    def create() -> dict[str, Any]:
        with opened(request) as (session, access):
            step = keys.step(session, access, step_id_of(asked.id))
            made = original_shapes.bucket(buckets.create(session, step, asked.owner))
            # It is looked up by what was asked for, dashes or not.
            return {**made, "id": asked.id}

    return answers.json(await run_in_threadpool(create))


@api.get("/buckets/")
@api.get("/buckets")
def list_buckets(request: Request) -> Response:
    """The newest of those that this address opens."""
    with opened(request) as (session, access):
        found = buckets.newest(session, keys.steps(access).with_only_columns(JobStep.id))
        return answers.json([original_shapes.bucket(each) for each in found])


@api.get(BUCKET)
@api.get(f"{BUCKET}/")
def show_bucket(request: Request, bucket: str) -> Response:
    with opened(request) as (session, access):
        step = keys.step(session, access, step_id_of(bucket))
        return answers.json(original_shapes.bucket(buckets.find(session, step.id)))


@api.post(f"{BUCKET}/close")
@api.post(f"{BUCKET}/close/")
async def close_bucket(request: Request, bucket: str) -> Response:
    await original_door.no_body(request)

    def close() -> dict[str, Any]:
        with opened(request) as (session, access):
            step = keys.step(session, access, step_id_of(bucket))
            return original_shapes.bucket(buckets.close(session, step.id))

    return answers.json(await run_in_threadpool(close))


# --- artifacts ---------------------------------------------------------------------------


@api.get(f"{BUCKET}/artifacts/")
@api.get(f"{BUCKET}/artifacts")
def list_artifacts(request: Request, bucket: str) -> Response:
    with opened(request) as (session, access):
        step = keys.step(session, access, step_id_of(bucket))
        buckets.find(session, step.id)
        sizes = contents.sizes_of_logs(session, step.id)
        found = buckets.all_of(session, step.id)
        return answers.json([original_shapes.artifact(each, sizes) for each in found])


@api.post(f"{BUCKET}/artifacts")
@api.post(f"{BUCKET}/artifacts/")
async def create_artifact(request: Request, bucket: str) -> Response:
    announced = read(await told(request, ArtifactSaid))
    size_max = settings.get().max_artifact_bytes

    def create() -> dict[str, Any]:
        with opened(request) as (session, access):
            step = keys.step(session, access, step_id_of(bucket))
            made = buckets.announce(session, step.id, announced, size_max_bytes=size_max)
            return original_shapes.artifact(made, {})

    return answers.json(await run_in_threadpool(create))


def read(asked: ArtifactSaid) -> StoreArtifact:
    if not asked.name:
        raise Invalid("Artifact name not provided", ["name"])
    name = buckets.checked_name(asked.name)
    if not asked.chunked and (asked.size is None or asked.size <= 0):
        raise Invalid("Artifact size not provided, or nothing", ["size"])
    return StoreArtifact(
        name=name,
        relative_path=buckets.checked_path(asked.relative_path or name),
        size_bytes=0 if asked.chunked else asked.size,
        state=ArtifactState.APPENDING if asked.chunked else ArtifactState.WAITING_FOR_UPLOAD,
        deadline_min=min(asked.deadline_min or buckets.DEADLINE_MIN, buckets.DEADLINE_MAX_MIN),
    )


@api.get(ARTIFACT)
@api.get(f"{ARTIFACT}/")
def show_artifact(request: Request, bucket: str, name: str) -> Response:
    with opened(request) as (session, access):
        found = artifact_of(session, access, bucket, name)
        return answers.json(shaped(session, found))


def artifact_of(session: db.Session, access: keys.Access, bucket: str, name: str) -> StoreArtifact:
    step = keys.step(session, access, step_id_of(bucket))
    buckets.find(session, step.id)
    return buckets.artifact(session, step.id, name)


def shaped(session: db.Session, found: StoreArtifact) -> dict[str, Any]:
    return original_shapes.artifact(found, contents.sizes_of_logs(session, found.step_id))


@api.post(ARTIFACT)
@api.post(f"{ARTIFACT}/")
async def add_bytes(request: Request, bucket: str, name: str) -> Response:
    """The bytes of a file as they are, or a piece of a log in JSON."""

    def find() -> StoreArtifact:
        with opened(request) as (session, access):
            return artifact_of(session, access, bucket, name)

    found = await run_in_threadpool(find)
    if found.state == ArtifactState.APPENDING:
        await append(request, found)
    elif found.state == ArtifactState.WAITING_FOR_UPLOAD:
        await upload(request, found)
    else:
        raise Invalid(f"This artifact takes no bytes: it is {found.state.name}.", ["state"])

    def show() -> dict[str, Any]:
        with opened(request) as (session, access):
            return shaped(session, artifact_of(session, access, bucket, name))

    return answers.json(await run_in_threadpool(show))


async def upload(request: Request, found: StoreArtifact) -> None:
    if request.headers.get("Content-Length") != str(found.size_bytes):
        raise Invalid("Content-Length must be the size that was announced.", ["Content-Length"])
    await contents.upload(request.app.state.pool, storage.storage.get(), found, request.stream())


async def append(request: Request, found: StoreArtifact) -> None:
    said = await told(request, PieceSaid, PIECE_MAX_BYTES)
    data = original_door.masked(request, bytes_in(said))
    if not 0 < len(data) <= LOG_CHUNK_MAX_BYTES or said.size not in (None, len(data)):
        raise Invalid(f"A piece has 1 to {LOG_CHUNK_MAX_BYTES} bytes, as many as size says.", ["size"])
    piece = Piece(found.step_id, found.kept_as, data, said.byteoffset or 0)
    async with request.app.state.pool.connection() as connection:
        await contents.append(connection, piece)


def bytes_in(said: PieceSaid) -> bytes:
    if said.bytes is None:
        return (said.content or "").encode(errors="replace")
    try:
        return base64.b64decode(said.bytes, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("bytes must be base64.", ["bytes"]) from None


@api.post(f"{ARTIFACT}/close")
@api.post(f"{ARTIFACT}/close/")
async def close_artifact(request: Request, bucket: str, name: str) -> Response:
    await original_door.no_body(request)

    def close() -> None:
        with opened(request) as (session, access):
            buckets.close_artifact(artifact_of(session, access, bucket, name))

    await run_in_threadpool(close)
    return answers.json({})


# --- reading -----------------------------------------------------------------------------


@api.get(f"{ARTIFACT}/content")
@api.get(f"{ARTIFACT}/content/")
def show_content(request: Request, bucket: str, name: str) -> Response:
    with opened(request) as (session, access):
        found = artifact_of(session, access, bucket, name)
        if found.is_log:
            return content_of_log(request, found, shaped(session, found)["size"])
        return streams.artifact(contents.kept_artifact(session, found), request, found.relative_path)


def content_of_log(request: Request, found: StoreArtifact, size: int) -> Response:
    """As long as it was when it was asked for; it may be growing."""
    span = byte_ranges.span_of(request.headers.get("Range"), size)
    headers = {**streams.headers_of_file(found.relative_path, str(size)), **span.headers}
    if span.status == byte_ranges.NOT_THERE:
        return Response(status_code=span.status, headers=headers)
    pieces = bytes_of_log(request, found, span)
    return StreamingResponse(pieces, span.status, headers, "text/plain; charset=utf-8")


async def bytes_of_log(request: Request, found: StoreArtifact, span: Span) -> AsyncIterator[bytes]:
    for begin in range(span.begin, span.end, CHUNKED_MAX_BYTES):
        part = (begin, min(begin + CHUNKED_MAX_BYTES, span.end))
        async with request.app.state.pool.connection() as connection:
            data = await contents.read(connection, found.step_id, found.kept_as, part)
        yield data


@api.get(f"{ARTIFACT}/chunked")
@api.get(f"{ARTIFACT}/chunked/")
async def show_chunk(
    request: Request, bucket: str, name: str, offset: int = 0, limit: int = CHUNKED_MAX_BYTES
) -> Response:
    def find() -> tuple[StoreArtifact, int]:
        with opened(request) as (session, access):
            found = artifact_of(session, access, bucket, name)
            return found, shaped(session, found)["size"]

    found, size = await run_in_threadpool(find)
    if not found.is_log:
        raise NotFound("Artifact is no log")
    begin = min(max(0, offset), size)
    end = min(begin + min(max(1, limit), CHUNKED_MAX_BYTES), size)
    async with request.app.state.pool.connection() as connection:
        data = await contents.read(connection, found.step_id, found.kept_as, (begin, end))
    return answers.json(chunked(found, begin, data, size))


def chunked(found: StoreArtifact, begin: int, data: bytes, size: int) -> dict[str, Any]:
    """Never with half of a character at its end, while there may be more to come."""
    is_over = found.state == ArtifactState.UPLOADED
    whole = data if is_over and begin + len(data) == size else without_half(data)
    end = begin + len(whole)
    text = whole.decode(errors="replace")
    chunks = [{"id": begin, "offset": begin, "size": len(whole), "text": text}] if whole else []
    return {"chunks": chunks, "eof": is_over and end == size, "nextOffset": end}


def without_half(data: bytes) -> bytes:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return data[: len(data) - len(decoder.getstate()[0])]
