"""Large artifacts in parts, so that a line that is cut costs one part; small ones many at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from changes.base import clock, ids, storage
from changes.base.errors import ChangesError, Conflict, Gone, Invalid, NotFound, TooLarge
from changes.base.storage import Storage
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.results import artifacts, stored_files
from changes.results.artifacts import Counted, Upload
from changes.results.logs import OffsetExpected
from changes.results.models import ArtifactUpload

Pool = AsyncConnectionPool[AsyncConnection[Any]]
SHA256_CHARS = 64
# What nobody went on with for so long is given up.
FORGOTTEN_AFTER = timedelta(days=1)
CLEANED_AT_ONCE = 100

KNOWN = (
    "select sha256, size_bytes, received_bytes, keys from artifact_upload where step_id = %s and name = %s"
)
STORED = "select sha256 from artifact where step_id = %s and name = %s"
# The first part begins anew whatever was there; each other one continues exactly what it was sent for.
TAKE = """
insert into artifact_upload (step_id, name, sha256, size_bytes, received_bytes, keys, date_modified)
select step.id, %(name)s, %(sha256)s, %(size)s, %(length)s, array[%(key)s::text], %(now)s
from job_step step where step.id = %(step_id)s and step.status <> 3
  and step.node_id is not distinct from %(node_id)s::uuid and %(offset)s = 0
on conflict (step_id, name) do nothing
returning keys, received_bytes
"""
CONTINUE = """
update artifact_upload set
    received_bytes = received_bytes + %(length)s, keys = keys || %(key)s::text, date_modified = %(now)s
where step_id = %(step_id)s and name = %(name)s and sha256 = %(sha256)s and size_bytes = %(size)s
  and received_bytes = %(offset)s
returning keys, received_bytes
"""
FORGET = "delete from artifact_upload where step_id = %s and name = %s returning keys"


@dataclass(frozen=True)
class Part:
    """Of a file of so many bytes, what begins at this one."""

    offset: int
    size_bytes: int
    length_max_bytes: int


@dataclass(frozen=True)
class Small:
    name: str
    sha256: str
    data: bytes


async def store_part(
    pool: Pool, store: Storage, upload: Upload, part: Part, chunks: AsyncIterator[bytes]
) -> int:
    """How many bytes are here now. OffsetExpected tells whoever begins elsewhere where to go on."""
    check(upload, part)
    async with pool.connection() as connection:
        await artifacts.refuse_finished(connection, upload)
        if await is_stored(connection, upload):
            return part.size_bytes
        received, keys = await known(connection, store, upload, part)
    if received == part.size_bytes:
        # We were killed before all of it was put together.
        await put_together(pool, store, upload, keys)
        return received
    if received != part.offset:
        raise OffsetExpected(received)
    key = f"uploads/{upload.step_id.hex}/{ids.new().hex}"
    counted = Counted(chunks, min(part.size_bytes - part.offset, part.length_max_bytes))
    await store.write(key, aiter(counted))
    try:
        keys, received = await taken(pool, upload, part, (key, counted.size_bytes))
    except ChangesError:
        await asyncio.to_thread(store.delete, key)
        raise
    if received == part.size_bytes:
        await put_together(pool, store, upload, keys)
    return received


def check(upload: Upload, part: Part) -> None:
    artifacts.check_name(upload.name)
    if upload.sha256 is None or len(upload.sha256) != SHA256_CHARS:
        raise Invalid("A part needs the digest of the whole file.", ["Changes-SHA256"])
    if part.size_bytes > upload.size_max_bytes:
        raise TooLarge(f"An artifact has at most {upload.size_max_bytes} bytes (MAX_ARTIFACT_BYTES).")
    if not 0 <= part.offset < part.size_bytes:
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])


async def is_stored(connection: AsyncConnection[Any], upload: Upload) -> bool:
    rows = await connection.execute(STORED, [upload.step_id, upload.name])
    row = await rows.fetchone()
    if row is not None and row[0] != upload.sha256:
        raise Conflict(f"The step has another artifact {upload.name!r} already.", ["name"])
    return row is not None


async def known(
    connection: AsyncConnection[Any], store: Storage, upload: Upload, part: Part
) -> tuple[int, list[str]]:
    rows = await connection.execute(KNOWN, [upload.step_id, upload.name])
    row = await rows.fetchone()
    if row is None:
        return 0, []
    if row[:2] != (upload.sha256, part.size_bytes):
        # The file is another one by now; nobody goes on with the first.
        await forget(connection, store, upload)
        return 0, []
    return row[2], row[3]


async def forget(connection: AsyncConnection[Any], store: Storage, upload: Upload) -> None:
    rows = await connection.execute(FORGET, [upload.step_id, upload.name])
    row = await rows.fetchone()
    for key in row[0] if row else []:
        await asyncio.to_thread(store.delete, key)


async def taken(pool: Pool, upload: Upload, part: Part, stored: tuple[str, int]) -> tuple[list[str], int]:
    """Somebody may have sent the same part meanwhile; one of both counts."""
    key, length = stored
    if not length:
        raise Invalid("A part has at least one byte.")
    values = {
        "step_id": upload.step_id,
        "node_id": upload.node_id,
        "name": upload.name,
        "sha256": upload.sha256,
        "size": part.size_bytes,
        "offset": part.offset,
        "length": length,
        "key": key,
        "now": clock.now(),
    }
    async with pool.connection() as connection:
        rows = await connection.execute(CONTINUE if part.offset else TAKE, values)
        row = await rows.fetchone()
        if row is None:
            await artifacts.refuse_finished(connection, upload)
            again = await (await connection.execute(KNOWN, [upload.step_id, upload.name])).fetchone()
            raise OffsetExpected(again[2] if again else 0)
    return row[0], row[1]


async def put_together(pool: Pool, store: Storage, upload: Upload, keys: list[str]) -> None:
    """Whatever comes of it, the parts go: bytes that do not have their digest are of no use to anybody."""
    try:
        await artifacts.store(pool, store, upload, joined(store, keys))
    except NotFound:
        # The same part was sent twice, and the first has put all together.
        async with pool.connection() as connection:
            if not await is_stored(connection, upload):
                raise OffsetExpected(0) from None
    finally:
        async with pool.connection() as connection:
            await forget(connection, store, upload)


async def joined(store: Storage, keys: list[str]) -> AsyncIterator[bytes]:
    for key in keys:
        chunks = await asyncio.to_thread(store.read, key)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk


async def store_many(pool: Pool, store: Storage, batch: Upload, files: list[Small]) -> list[tuple[str, str]]:
    """Names that were refused, and why; all others are stored. `batch` says whose they are."""
    refused: dict[str, str] = {}
    wanted: dict[str, Small] = {}
    for file in files:
        try:
            if file.name in wanted:
                raise Conflict("Another file of the step has this name already.")
            artifacts.check_small(file.name, file.sha256, file.data, batch.size_max_bytes)
        except ChangesError as error:
            refused[file.name] = error.message
        else:
            wanted[file.name] = file
    async with pool.connection() as connection:
        await artifacts.refuse_finished(connection, batch)
    made = {name: ids.new() for name in wanted}
    keys = {name: f"artifacts/{batch.step_id.hex}/{artifact_id.hex}" for name, artifact_id in made.items()}
    await asyncio.to_thread(store.put_all, {keys[name]: wanted[name].data for name in wanted})
    async with pool.connection() as connection:
        digests, kept = await note_many(connection, store, batch, (made, keys, wanted))
    for key in set(keys.values()) - kept:
        await asyncio.to_thread(store.delete, key)
    for name, file in wanted.items():
        if name not in digests:
            raise Gone("This step is over.")
        if digests[name] != file.sha256.lower():
            refused[name] = f"The step has another artifact {name!r} already."
    return sorted(refused.items())


async def note_many(
    connection: AsyncConnection[Any],
    store: Storage,
    batch: Upload,
    files: tuple[dict[str, UUID], dict[str, str], dict[str, Small]],
) -> tuple[dict[str, str], set[str]]:
    """By name the digest that the step has now, and the keys that are in use."""
    made, keys, wanted = files
    sizes = [len(each.data) for each in wanted.values()]
    digests = [each.sha256.lower() for each in wanted.values()]
    sent = {digest: (keys[name], size) for name, digest, size in zip(wanted, digests, sizes, strict=True)}
    kept = await stored_files.name(connection, store, sent, clock.now())
    values = {
        "ids": list(made.values()),
        "names": list(wanted),
        "sizes": sizes,
        "digests": digests,
        "keys": [kept[digest] for digest in digests],
        "now": clock.now(),
        "step_id": batch.step_id,
        "node_id": batch.node_id,
    }
    rows = await connection.execute(artifacts.INSERT_MANY, values)
    stored = {row[0] for row in await rows.fetchall()}
    rows = await connection.execute(artifacts.DIGESTS, [batch.step_id, list(wanted)])
    known = dict(await rows.fetchall())
    in_vain = [key for name, key in keys.items() if name not in stored and key in kept.values()]
    return known, set(kept.values()) - await stored_files.take_back(connection, in_vain)


def clean(session: Session) -> int:
    """Parts of files that never became whole: their step is over, or nobody went on for a day."""
    is_over = select(JobStep.id).where(
        JobStep.id == ArtifactUpload.step_id, JobStep.status == Status.FINISHED
    )
    is_forgotten = ArtifactUpload.date_modified < clock.now() - FORGOTTEN_AFTER
    old = select(ArtifactUpload).where(or_(is_over.exists(), is_forgotten)).limit(CLEANED_AT_ONCE)
    found = list(session.execute(old.with_for_update(skip_locked=True)).scalars())
    for upload in found:
        for key in upload.keys:
            storage.storage.get().delete(key)
        same = (ArtifactUpload.step_id == upload.step_id) & (ArtifactUpload.name == upload.name)
        session.execute(delete(ArtifactUpload).where(same))
    return len(found)
