"""The bytes of the store: those of a log arrive in pieces, those of a file at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Gone, Invalid, NotFound
from changes.base.storage import Storage
from changes.results import artifacts, logs
from changes.results.artifacts import Counted
from changes.results.logs import Writing
from changes.results.models import Artifact, LogSource
from changes.results.original_store.models import StoreArtifact

# The step moves from its scheduler to its host once, perhaps between our look and our write.
TRIES = 3
OVERLAPPING = "Overlapping ranges detected: this piece begins at {offset}, and the log has {size} bytes."
HOLDER = "select node_id from job_step where id = %s"
SOURCE = "select id from log_source where step_id = %s and name = %s"
SIZE = "select size_bytes from log_source where step_id = %s and name = %s"
KEEP = """
with kept as (
    insert into artifact (id, step_id, job_id, name, size_bytes, sha256, key, date_created)
    select %(id)s, step.id, step.job_id, %(name)s, %(size)s, %(sha256)s, %(key)s, %(now)s
    from job_step step join store_bucket bucket on bucket.step_id = step.id
    where step.id = %(step_id)s and step.status <> 3 and bucket.date_closed is null
    on conflict (step_id, name) do nothing
    returning step_id, name
)
update store_artifact set state = 6 from kept
where store_artifact.step_id = kept.step_id and store_artifact.kept_as = kept.name
    and store_artifact.state = 4
returning store_artifact.id
"""


@dataclass(frozen=True)
class Piece:
    """Bytes of a log; without an offset they come after all that is there."""

    step_id: UUID
    log: str
    data: bytes
    offset: int | None = None


async def append(connection: AsyncConnection[Any], piece: Piece) -> int:
    """Where the log ends now. The same bytes again are success, others in their place are refused."""
    for _ in range(TRIES):
        rows = await connection.execute(HOLDER, [piece.step_id])
        holder = await rows.fetchone()
        if holder is None or holder[0] is None:
            raise NotFound("Not found")
        try:
            return await append_as(connection, Writing(piece.step_id, holder[0], piece.log), piece)
        except NotFound:
            continue
        except logs.OffsetExpected:
            # Without an offset: somebody else wrote meanwhile.
            if piece.offset is not None:
                raise
    raise Gone("This step is over.")


async def append_as(connection: AsyncConnection[Any], writing: Writing, piece: Piece) -> int:
    rows = await connection.execute(SIZE, [writing.step_id, writing.name])
    row = await rows.fetchone()
    size: int = row[0] if row else 0
    offset = size if piece.offset is None else piece.offset
    if offset != size and not await is_stored(connection, writing, offset, piece.data):
        raise Invalid(OVERLAPPING.format(offset=offset, size=size), ["byteoffset"])
    if offset != size:
        return size
    return await logs.append(connection, writing, offset, piece.data)


async def is_stored(connection: AsyncConnection[Any], writing: Writing, offset: int, data: bytes) -> bool:
    return await read(connection, writing.step_id, writing.name, (offset, offset + len(data))) == data


async def read(connection: AsyncConnection[Any], step_id: UUID, log: str, span: tuple[int, int]) -> bytes:
    """What there is of these bytes."""
    begin, end = span
    rows = await (await connection.execute(SOURCE, [step_id, log])).fetchall()
    data = b""
    while rows and begin + len(data) < end:
        pieces = await logs.next_bytes(connection, rows[0][0], begin + len(data))
        if not pieces:
            break
        data += b"".join(pieces)
    return data[: end - begin]


async def upload(
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    storage: Storage,
    announced: StoreArtifact,
    chunks: AsyncIterator[bytes],
) -> None:
    """No connection is held while bytes arrive. The row of the artifact and the end of the upload are
    written together, so one that broke off may be tried again.
    """
    artifact_id = ids.new()
    key = f"artifacts/{announced.step_id.hex}/{artifact_id.hex}"
    counted = Counted(chunks, announced.size_bytes)
    await storage.write(key, aiter(counted))
    if counted.size_bytes != announced.size_bytes:
        storage.delete(key)
        raise Invalid("Content-Length must be the size that was announced.", ["Content-Length"])
    values = {
        "id": artifact_id,
        "step_id": announced.step_id,
        "name": announced.kept_as,
        "size": counted.size_bytes,
        "sha256": counted.digest.hexdigest(),
        "key": key,
        "now": clock.now(),
    }
    async with pool.connection() as connection:
        rows = await connection.execute(KEEP, values)
        if await rows.fetchone() is None:
            storage.delete(key)
            raise Gone("This bucket is closed, or another upload of the same was faster.")


# --- reading -----------------------------------------------------------------------------


def sizes_of_logs(session: Session, step_id: UUID) -> dict[str, int]:
    """A log grows without its row in the store."""
    mine = select(LogSource.name, LogSource.size_bytes).where(LogSource.step_id == step_id)
    return {row[0]: row[1] for row in session.execute(mine)}


def kept_artifact(session: Session, announced: StoreArtifact) -> Artifact:
    found = artifacts.named(session, announced.step_id, announced.kept_as)
    if found is None:
        raise NotFound("Artifact has no content yet")
    return found
