"""The bytes of a log as plain text, without holding them all: what there is, a part, or what is to come.

What is in them was written by other people's programs, so no browser may take it for ours.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from psycopg import OperationalError

from changes.base.errors import ChangesError
from changes.builds.models import JobStep
from changes.people.rules import Scope
from changes.results import log_chunks, logs
from changes.results.models import LogSource
from changes.web import byte_ranges, call, streams
from changes.web.byte_ranges import Span

TEXT = "text/plain; charset=utf-8"
LOOK_EVERY_S = 5.0
# Whoever was signed out meanwhile, or whose key was revoked, hears no more after so long.
ASKED_AGAIN_S = 30.0
# So long a database may be away before who waits is sent away, too.
AWAY_MAX_S = 60


@dataclass(frozen=True)
class Followed:
    """A log that grows. The end of a step, and the first bytes of a log, are told under the build's name."""

    source_id: UUID
    build_id: UUID

    @property
    def topics(self) -> tuple[str, str]:
        return f"log:{self.source_id.hex}", f"build:{self.build_id.hex}"


def part(request: Request, source: LogSource, span: Span, saved_as: str = "") -> Response:
    """What lies in the span; what is missing there is said in as many bytes."""
    headers = {**streams.FOREIGN, **span.headers, **(streams.saved_as(saved_as) if saved_as else {})}
    if span.status == byte_ranges.NOT_THERE:
        return Response(status_code=span.status, headers=headers)
    content = bytes_of(request.app.state.pool, source.id, span.begin, span.end)
    return StreamingResponse(content, span.status, headers, TEXT)


async def bytes_of(pool: Any, source_id: UUID, begin: int, end: int) -> AsyncIterator[bytes]:
    """No connection is held while somebody takes his time to read."""
    while begin < end:
        async with pool.connection() as connection:
            pieces = await logs.next_bytes(connection, source_id, begin)
        for piece in pieces or lost(begin, end):
            yield piece[: end - begin]
            begin = min(end, begin + len(piece))


def lost(begin: int, end: int) -> list[bytes]:
    """The beginning of what is not there behind the last row."""
    return [next(log_chunks.missing(begin, end - begin)).data]


def follow(request: Request, source: LogSource, begin: int) -> Response:
    """As it grows, until its step is over."""
    return held(request, news(request, Followed(source.id, source.step.job.build_id), begin))


def follow_from_the_start(request: Request, step: JobStep, name: str) -> Response:
    """A log that nobody has begun to write yet."""
    return held(request, begun(request, Beginning(step.id, name, step.job.build_id)))


def held(request: Request, content: AsyncIterator[bytes]) -> Response:
    # How long the answer takes says nothing about us.
    request.state.held = True
    return StreamingResponse(content, 200, streams.FOREIGN, TEXT)


@dataclass(frozen=True)
class Beginning:
    step_id: UUID
    name: str
    build_id: UUID


async def begun(request: Request, beginning: Beginning) -> AsyncIterator[bytes]:
    pool, bell = request.app.state.pool, request.app.state.bell
    while not bell.closed.is_set():
        with bell.listening(f"build:{beginning.build_id.hex}") as ring:
            async with pool.connection() as connection:
                source_id, is_over = await logs.opened_yet(connection, beginning.step_id, beginning.name)
            if source_id is not None:
                async for piece in news(request, Followed(source_id, beginning.build_id), 0):
                    yield piece
                return
            if is_over:
                return
            await bell.wait(ring, LOOK_EVERY_S)


async def news(request: Request, followed: Followed, begin: int) -> AsyncIterator[bytes]:
    bell = request.app.state.bell
    loop = asyncio.get_running_loop()
    ask_at, away_s = loop.time() + ASKED_AGAIN_S, 0
    while True:
        with bell.listening(*followed.topics) as ring:
            try:
                is_over, pieces = await look(request.app.state.pool, followed, begin)
                away_s = 0
            except OperationalError:
                away_s += 1
                if away_s > AWAY_MAX_S:
                    raise
                await asyncio.sleep(1)
                continue
            for piece in pieces:
                yield piece
                begin += len(piece)
            if not pieces and (is_over or bell.closed.is_set()):
                return
            if loop.time() >= ask_at:
                if not await run_in_threadpool(may_still_read, request):
                    return
                ask_at = loop.time() + ASKED_AGAIN_S
            if not pieces:
                await bell.wait(ring, LOOK_EVERY_S)


async def look(pool: Any, followed: Followed, begin: int) -> tuple[bool, list[bytes]]:
    async with pool.connection() as connection:
        # Asked before reading: what was written before the end is then surely read.
        is_over = await logs.is_over(connection, followed.source_id)
        return is_over, await logs.next_bytes(connection, followed.source_id, begin)


def may_still_read(request: Request) -> bool:
    try:
        with call.begin(request, Scope.READ):
            return True
    except ChangesError:
        return False
