"""Logs: bytes in by offset, out by offset. Plain SQL, because agents write here all the time.

A chunk is acknowledged once it is committed, that is, on disk. Sending the same bytes again
is success; leaving some out is refused with the offset that is expected.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids, storage
from changes.base.errors import ChangesError, Gone, Invalid, NotFound
from changes.builds.rules import Status
from changes.results import log_chunks, log_frames, read_times
from changes.results.log_chunks import Chunk
from changes.results.log_frames import QUICK_LEVEL, Piece
from changes.results.models import LogSource

LOG_CHANNEL = "log"
NAME_MAX = 64
# What is as large as this goes to the blob store at once.
BLOB_MIN_BYTES = 1024 * 1024
# About so much is read for somebody who may be slow to take it.
NEXT_BYTES = 512 * 1024

# Pages that look at the build learn that there is something to follow now.
OPEN = """
with opened as (
    insert into log_source (id, step_id, job_id, name, size_bytes, newlines, date_created)
    values (%s, %s, %s, %s, 0, 0, %s) on conflict (step_id, name) do nothing returning job_id
)
select pg_notify('build', replace(job.build_id::text, '-', '')) from opened join job on job.id = opened.job_id
"""
# The first bytes of most logs, and often the only ones, in one step.
BEGIN = """
with opened as (
    insert into log_source (id, step_id, job_id, name, size_bytes, newlines, date_created)
    select %(id)s, id, job_id, %(name)s, %(size)s, %(newlines)s, %(now)s from job_step
    where id = %(step_id)s and status <> 3 and node_id is not distinct from %(node_id)s::uuid
    on conflict (step_id, name) do nothing returning id, job_id
), chunk as (
    insert into log_chunk
        (source_id, "offset", size_bytes, data, times, lines_before, frames, key, stored_bytes)
    select id, 0, %(size)s, %(data)s, %(times)s, 0, %(frames)s, %(key)s, %(stored_bytes)s from opened
)
select
    pg_notify('build', replace(job.build_id::text, '-', '')),
    pg_notify('log', replace(opened.id::text, '-', ''))
from opened join job on job.id = opened.job_id
"""
APPEND = """
with source as (
    update log_source set
        size_bytes = size_bytes + %(size)s, newlines = newlines + %(newlines)s, is_packed = false
    where step_id = %(step_id)s and name = %(name)s and size_bytes = %(offset)s
      and exists (select from job_step where id = %(step_id)s and status <> 3
                  and node_id is not distinct from %(node_id)s::uuid)
    returning id, newlines - %(newlines)s as lines_before
), chunk as (
    insert into log_chunk
        (source_id, "offset", size_bytes, data, times, lines_before, frames, key, stored_bytes)
    select id, %(offset)s, %(size)s, %(data)s, %(times)s, lines_before, %(frames)s, %(key)s, %(stored_bytes)s
    from source
)
select pg_notify('log', replace(id::text, '-', '')) from source
"""

# How much there is of a log that may still be written to.
STORED = """
select coalesce(log_source.size_bytes, 0) from job_step
left join log_source on log_source.step_id = job_step.id and log_source.name = %(name)s
where job_step.id = %(step_id)s and status <> 3 and node_id is not distinct from %(node_id)s::uuid
"""


class OffsetExpected(ChangesError):
    """Bytes are missing before these."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The log has {offset} bytes; please go on from there.", ["offset"])
        self.offset = offset


@dataclass(frozen=True)
class Writing:
    """Whose log is written."""

    step_id: UUID
    # None for a step of a build that ran elsewhere, which nobody here holds.
    node_id: UUID | None
    name: str
    # When its bytes were read there, as far as that was told (read_times.py).
    times: list[int] = field(default_factory=list)


async def append(connection: AsyncConnection[Any], writing: Writing, offset: int, data: bytes) -> int:
    """The offset up to which the log is stored now."""
    check_name(writing.name)
    if data and await appended(connection, writing, offset, data):
        return offset + len(data)
    size = await size_of(connection, writing)
    if offset > size:
        raise OffsetExpected(size)
    rest = data[size - offset :]
    if rest and not await appended(connection, writing, size, rest):
        raise OffsetExpected(await size_of(connection, writing))
    return max(size, offset + len(data))


def check_name(name: str) -> None:
    if not name or len(name) > NAME_MAX or "/" in name or "\0" in name:
        raise Invalid(f"A log has a name of at most {NAME_MAX} characters, without a slash.", ["name"])


async def appended(connection: AsyncConnection[Any], writing: Writing, offset: int, data: bytes) -> bool:
    values = values_of(writing, offset, data)
    if len(data) >= BLOB_MIN_BYTES:
        values |= await asyncio.to_thread(as_blob, writing, offset, data)
    rows = await connection.execute(APPEND if offset else BEGIN, values)
    is_stored = await rows.fetchone() is not None or (offset == 0 and await is_added(connection, values))
    if not is_stored and isinstance(values["key"], str):
        await asyncio.to_thread(storage.storage.get().delete, values["key"])
    return is_stored


def values_of(writing: Writing, offset: int, data: bytes) -> dict[str, object]:
    values: dict[str, object] = {
        "step_id": writing.step_id,
        "node_id": writing.node_id,
        "name": writing.name,
        "offset": offset,
        "size": len(data),
        "data": data,
        "newlines": data.count(b"\n"),
        "times": read_times.since(writing.times, offset) or None,
        "frames": None,
        "key": None,
        "stored_bytes": None,
    }
    if offset == 0:
        values |= {"id": ids.new(), "now": clock.now()}
    return values


def as_blob(writing: Writing, offset: int, data: bytes) -> dict[str, object]:
    """What is large would be written three times by the database."""
    times = [
        number if even % 2 else number - offset
        for even, number in enumerate(read_times.since(writing.times, offset))
    ]
    frames, stored = log_frames.packed(list(log_frames.cut(Piece(data, times))), QUICK_LEVEL)
    key = f"logs/{writing.step_id.hex}/{ids.new().hex}"
    storage.storage.get().put(key, stored)
    index = log_frames.index(frames)
    return {"data": b"", "times": None, "frames": index, "key": key, "stored_bytes": len(stored)}


def append_end(session: Session, writing: Writing, offset: int, data: bytes) -> None:
    """The same in the transaction of a report that ends the step. A step that is over already, or is not
    this machine's, is left to whoever takes the report.
    """
    check_name(writing.name)
    values = values_of(writing, offset, data)
    asked = session.connection().exec_driver_sql
    if not data or asked(APPEND if offset else BEGIN, values).first() is not None:
        return
    row = asked(STORED, values).first()
    # The same bytes again are success; with others the ordinary way is taken, which knows all cases.
    if row is not None and row[0] < offset + len(data):
        raise OffsetExpected(row[0])


async def is_added(connection: AsyncConnection[Any], values: dict[str, object]) -> bool:
    """To a log that was opened before its first bytes came."""
    rows = await connection.execute(APPEND, values)
    return await rows.fetchone() is not None


async def size_of(connection: AsyncConnection[Any], writing: Writing) -> int:
    """Opens the log when this is its first chunk, and says why when it may not be written."""
    rows = await connection.execute(
        "select job_id, status from job_step where id = %s and node_id is not distinct from %s::uuid",
        [writing.step_id, writing.node_id],
    )
    step = await rows.fetchone()
    if step is None:
        raise NotFound("This step is not yours.")
    if step[1] == Status.FINISHED:
        raise Gone("This step is over.")
    await connection.execute(OPEN, [ids.new(), writing.step_id, step[0], writing.name, clock.now()])
    sizes = await connection.execute(
        "select size_bytes from log_source where step_id = %s and name = %s", [writing.step_id, writing.name]
    )
    row = await sizes.fetchone()
    return int(row[0]) if row else 0


# --- reading -----------------------------------------------------------------------------


async def next_bytes(connection: AsyncConnection[Any], source_id: UUID, offset: int) -> list[bytes]:
    """Some of the bytes from `offset` on; nothing at the end."""
    pieces: list[bytes] = []
    at, limit = offset, 1
    while at - offset < NEXT_BYTES:
        asked = log_chunks.asked_from(source_id, at, limit)
        rows = await (await connection.execute(log_chunks.FROM_BYTE, asked)).fetchall()
        found = [Chunk(*row) for row in rows]
        more = await pieces_of(found, at)
        if not more:
            break
        pieces += more
        at += sum(len(piece) for piece in more)
        limit = log_chunks.next_limit(found)
    return pieces


async def pieces_of(found: list[Chunk], start: int) -> list[bytes]:
    """What must be fetched or unpacked holds up nobody else."""
    store = storage.storage.get()
    if all(chunk.frames is None for chunk in found):
        return log_chunks.pieces(store, found, start)
    return await asyncio.to_thread(log_chunks.pieces, store, found, start)


async def is_over(connection: AsyncConnection[Any], source_id: UUID) -> bool:
    rows = await connection.execute(
        "select step.status = 3 from log_source source join job_step step on step.id = source.step_id"
        " where source.id = %s",
        [source_id],
    )
    row = await rows.fetchone()
    return row is None or bool(row[0])


async def opened_yet(connection: AsyncConnection[Any], step_id: UUID, name: str) -> tuple[UUID | None, bool]:
    """The log of this name, if there is one by now; and whether the step is over, so that none will come."""
    rows = await connection.execute(
        "select (select id from log_source where step_id = %(id)s and name = %(name)s), status = 3"
        " from job_step where id = %(id)s",
        {"id": step_id, "name": name},
    )
    row = await rows.fetchone()
    return (None, True) if row is None else (row[0], row[1])


def source(session: Session, source_id: UUID) -> LogSource:
    found = session.get(LogSource, source_id)
    if found is None:
        raise NotFound("There is no such log.")
    return found


def is_opened(session: Session, step_id: UUID, name: str) -> bool:
    mine = select(LogSource.id).where(LogSource.step_id == step_id, LogSource.name == name)
    return session.execute(mine).first() is not None


def source_of_step(session: Session, step_id: UUID, name: str) -> LogSource:
    mine = select(LogSource).where(LogSource.step_id == step_id, LogSource.name == name)
    found = session.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound(f"The step has no log {name!r}.")
    return found


def sources_of_steps(session: Session, step_ids: list[UUID]) -> dict[UUID, list[LogSource]]:
    sources: dict[UUID, list[LogSource]] = {step_id: [] for step_id in step_ids}
    found = select(LogSource).where(LogSource.step_id.in_(step_ids)).order_by(LogSource.step_id, LogSource.id)
    for each in session.execute(found).scalars():
        sources[each.step_id].append(each)
    return sources
