"""Files a step left behind: bytes to the blob store, a row beside them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import ChangesError, Conflict, Gone, Invalid, NotFound, TooLarge
from changes.base.paging import Page, Part, part
from changes.base.storage import Storage
from changes.builds.models import Job
from changes.builds.rules import Status
from changes.results import stored_files
from changes.results.models import Artifact

NAME_MAX = 1024

INSERT = """
insert into artifact (id, step_id, job_id, name, size_bytes, sha256, key, date_created)
select %(id)s, step.id, step.job_id, %(name)s, %(size)s, %(sha256)s, %(key)s, %(now)s
from job_step step where step.id = %(step_id)s and step.status <> 3
  and step.node_id is not distinct from %(node_id)s::uuid
  -- Whoever tells of a build of his has said that this is the end, and its reports are read by now.
  and (step.status <> 4 or step.node_id is not null)
on conflict (step_id, name) do nothing
returning id
"""

INSERT_MANY = """
insert into artifact (id, step_id, job_id, name, size_bytes, sha256, key, date_created)
select file.id, step.id, step.job_id, file.name, file.size_bytes, file.sha256, file.key, %(now)s
from job_step step, unnest(
    %(ids)s::uuid[], %(names)s::text[], %(sizes)s::bigint[], %(digests)s::text[], %(keys)s::text[]
) as file (id, name, size_bytes, sha256, key)
where step.id = %(step_id)s and step.status <> 3 and step.node_id is not distinct from %(node_id)s::uuid
on conflict (step_id, name) do nothing
returning name
"""
DIGESTS = "select name, sha256 from artifact where step_id = %s and name = any(%s)"


@dataclass(frozen=True)
class Upload:
    step_id: UUID
    # None for a step of a build that ran elsewhere, which nobody here holds.
    node_id: UUID | None
    name: str
    # What the agent says it sends; checked against what arrives.
    sha256: str | None
    size_max_bytes: int


@dataclass(frozen=True)
class Stored:
    """Bytes that lie in the store by now."""

    sha256: str
    key: str
    size_bytes: int


class Counted:
    """Passes chunks on, and knows how many bytes went through and their digest."""

    def __init__(self, chunks: AsyncIterator[bytes], size_max_bytes: int) -> None:
        self.chunks = chunks
        self.size_max_bytes = size_max_bytes
        self.size_bytes = 0
        self.digest = hashlib.sha256()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > self.size_max_bytes:
                raise TooLarge(f"An artifact has at most {self.size_max_bytes} bytes (MAX_ARTIFACT_BYTES).")
            self.digest.update(chunk)
            yield chunk


async def store(
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    storage: Storage,
    upload: Upload,
    chunks: AsyncIterator[bytes],
) -> None:
    """A file sent again is success when it is the same, and a conflict when it is not.

    No connection is held while bytes arrive, or a few slow uploads would stop every agent.
    """
    check_name(upload.name)
    async with pool.connection() as connection:
        await refuse_finished(connection, upload)
    key = f"artifacts/{upload.step_id.hex}/{ids.new().hex}"
    counted = Counted(chunks, upload.size_max_bytes)
    await storage.write(key, aiter(counted))
    sha256 = counted.digest.hexdigest()
    if upload.sha256 is not None and upload.sha256.lower() != sha256:
        storage.delete(key)
        raise Invalid("The bytes that arrived are not those that were announced.", ["Changes-SHA256"])
    stored = Stored(sha256, key, counted.size_bytes)
    try:
        async with pool.connection() as connection:
            kept_as = await note(connection, storage, upload, stored)
    except ChangesError:
        # Surely nothing was noted; after any other error it may have been.
        storage.delete(key)
        raise
    if kept_as != key:
        storage.delete(key)


async def note(connection: AsyncConnection[Any], storage: Storage, upload: Upload, stored: Stored) -> str:
    """The key under which the bytes are kept: an older one, where they were here before."""
    sent = {stored.sha256: (stored.key, stored.size_bytes)}
    keys = await stored_files.name(connection, storage, sent, clock.now())
    values = {
        "id": ids.new(),
        "name": upload.name,
        "size": stored.size_bytes,
        "sha256": stored.sha256,
        "key": keys[stored.sha256],
        "now": clock.now(),
        "step_id": upload.step_id,
        "node_id": upload.node_id,
    }
    rows = await connection.execute(INSERT, values)
    if await rows.fetchone() is None:
        await refuse_other_content(connection, upload, stored.sha256)
    return keys[stored.sha256]


def check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not name or len(name) > NAME_MAX or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Invalid("An artifact's name is a relative path.", ["name"])


def check_small(name: str, sha256: str, data: bytes, size_max_bytes: int) -> None:
    check_name(name)
    if len(data) > size_max_bytes:
        raise TooLarge(f"An artifact has at most {size_max_bytes} bytes (MAX_ARTIFACT_BYTES).")
    if hashlib.sha256(data).hexdigest() != sha256.lower():
        raise Invalid("The bytes that arrived are not those that were announced.", ["Changes-SHA256"])


async def refuse_finished(connection: AsyncConnection[Any], upload: Upload) -> None:
    rows = await connection.execute(
        "select status from job_step where id = %s and node_id is not distinct from %s::uuid",
        [upload.step_id, upload.node_id],
    )
    row = await rows.fetchone()
    if row is None:
        raise NotFound("This step is not yours.")
    if row[0] == Status.FINISHED:
        raise Gone("This step is over.")


async def refuse_other_content(connection: AsyncConnection[Any], upload: Upload, sha256: str) -> None:
    rows = await connection.execute(
        "select sha256 from artifact where step_id = %s and name = %s", [upload.step_id, upload.name]
    )
    row = await rows.fetchone()
    if row is None:
        raise Gone("This step is over.")
    if row[0] != sha256:
        raise Conflict(f"The step has another artifact {upload.name!r} already.", ["name"])


def of_step(session: Session, step_id: UUID) -> list[Artifact]:
    mine = select(Artifact).where(Artifact.step_id == step_id).order_by(Artifact.name)
    return list(session.execute(mine).scalars())


def named(session: Session, step_id: UUID, name: str) -> Artifact | None:
    mine = select(Artifact).where(Artifact.step_id == step_id, Artifact.name == name)
    return session.execute(mine).scalar_one_or_none()


def of_job(session: Session, job: Job, page: Page) -> Part[Artifact]:
    return part(
        session, select(Artifact).where(Artifact.job_id == job.id).order_by(Artifact.name, Artifact.id), page
    )


def by_id(session: Session, artifact_id: UUID) -> Artifact:
    found = session.get(Artifact, artifact_id)
    if found is None:
        raise NotFound("There is no such artifact.")
    return found
