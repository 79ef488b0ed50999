"""Logs: bytes in by offset, out by offset. Plain SQL, because agents write here all the time.

A chunk is acknowledged once it is committed, that is, on disk. Sending the same bytes again
is success; leaving some out is refused with the offset that is expected.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import ChangesError, Gone, Invalid, NotFound
from changes.builds.rules import Status
from changes.protocol import LOG_CHUNK_MAX_BYTES
from changes.results import read_times
from changes.results.models import LogChunk, LogSource

LOG_CHANNEL = "log"
NAME_MAX = 64
CHUNKS_AT_ONCE = 16
NEWEST_BYTES_MAX = 256 * 1024

# Pages that look at the build learn that there is something to follow now.
OPEN = """
with opened as (
    insert into log_source (id, step_id, job_id, name, size_bytes, date_created)
    values (%s, %s, %s, %s, 0, %s) on conflict (step_id, name) do nothing returning job_id
)
select pg_notify('build', replace(job.build_id::text, '-', '')) from opened join job on job.id = opened.job_id
"""
# The first bytes of most logs, and often the only ones, in one step.
BEGIN = """
with opened as (
    insert into log_source (id, step_id, job_id, name, size_bytes, date_created)
    select %(id)s, id, job_id, %(name)s, %(size)s, %(now)s from job_step
    where id = %(step_id)s and status <> 3 and node_id is not distinct from %(node_id)s::uuid
    on conflict (step_id, name) do nothing returning id, job_id
), chunk as (
    insert into log_chunk (source_id, "offset", size_bytes, data, times)
    select id, 0, %(size)s, %(data)s, %(times)s from opened
)
select
    pg_notify('build', replace(job.build_id::text, '-', '')),
    pg_notify('log', replace(opened.id::text, '-', ''))
from opened join job on job.id = opened.job_id
"""
APPEND = """
with source as (
    update log_source set size_bytes = size_bytes + %(size)s
    where step_id = %(step_id)s and name = %(name)s and size_bytes = %(offset)s
      and exists (select from job_step where id = %(step_id)s and status <> 3
                  and node_id is not distinct from %(node_id)s::uuid)
    returning id
), chunk as (
    insert into log_chunk (source_id, "offset", size_bytes, data, times)
    select id, %(offset)s, %(size)s, %(data)s, %(times)s from source
)
select pg_notify('log', replace(id::text, '-', '')) from source
"""


NEWEST = """
with source as (
    select id, greatest(%(offset)s, size_bytes - %(bytes_max)s) as wanted from log_source where id = %(id)s
)
select source.wanted, chunk."offset", chunk.data
from source join log_chunk chunk on chunk.source_id = source.id
where chunk."offset" > source.wanted - %(chunk_max)s and chunk."offset" + chunk.size_bytes > source.wanted
order by chunk."offset"
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
    values: dict[str, object] = {
        "step_id": writing.step_id,
        "node_id": writing.node_id,
        "name": writing.name,
        "offset": offset,
        "size": len(data),
        "data": data,
        "times": read_times.since(writing.times, offset) or None,
    }
    if offset == 0:
        values |= {"id": ids.new(), "now": clock.now()}
    rows = await connection.execute(APPEND if offset else BEGIN, values)
    return await rows.fetchone() is not None or (offset == 0 and await is_added(connection, values))


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
    rows = await connection.execute(
        'select "offset", data from log_chunk where source_id = %s and "offset" + size_bytes > %s'
        ' order by "offset" limit %s',
        [source_id, offset, CHUNKS_AT_ONCE],
    )
    return [data[max(0, offset - start) :] for start, data in await rows.fetchall()]


async def newest(connection: AsyncConnection[Any], source_id: UUID, offset: int) -> tuple[int, bytes]:
    """Where it begins, and the bytes from there to the end.

    They begin at `offset`, or later when that is too much.
    """
    values: dict[str, object] = {
        "id": source_id,
        "offset": offset,
        "bytes_max": NEWEST_BYTES_MAX,
        "chunk_max": LOG_CHUNK_MAX_BYTES,
    }
    rows = await (await connection.execute(NEWEST, values)).fetchall()
    if not rows:
        return offset, b""
    wanted: int = rows[0][0]
    return wanted, b"".join(data[max(0, wanted - start) :] for _, start, data in rows)


async def is_over(connection: AsyncConnection[Any], source_id: UUID) -> bool:
    rows = await connection.execute(
        "select step.status = 3 from log_source source join job_step step on step.id = source.step_id"
        " where source.id = %s",
        [source_id],
    )
    row = await rows.fetchone()
    return row is None or bool(row[0])


def source(session: Session, source_id: UUID) -> LogSource:
    found = session.get(LogSource, source_id)
    if found is None:
        raise NotFound("There is no such log.")
    return found


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


def chunks(session: Session, source: LogSource, *, offset: int, limit: int) -> Iterator[LogChunk]:
    """Stored chunks that touch the given range, in order."""
    found = (
        select(LogChunk)
        .where(LogChunk.source_id == source.id, LogChunk.offset < offset + limit)
        .where(LogChunk.offset + LogChunk.size_bytes > offset)
        .order_by(LogChunk.offset)
    )
    yield from session.execute(found).scalars()


def tail(session: Session, source: LogSource, *, bytes_max: int) -> bytes:
    """The last bytes that are stored, not more than asked for."""
    offset = max(0, source.size_bytes - bytes_max)
    data = b"".join(chunk.data for chunk in chunks(session, source, offset=offset, limit=bytes_max))
    return data[-bytes_max:]
