"""Bytes out, without holding them all: logs that may still grow, and stored files.

What is in them was written by other people's programs, so no browser may take it for ours.
"""

from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from changes.base import storage
from changes.results import logs
from changes.results.models import Artifact, LogSource
from changes.web import byte_ranges

FOREIGN = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "no-store",
}


def log(request: Request, source: LogSource, *, offset: int, follow: bool) -> Response:
    # The end of a step is told under the name of its build.
    topics = (f"log:{source.id.hex}", f"build:{source.step.job.build_id.hex}")
    return StreamingResponse(
        log_bytes(request, source, offset, topics if follow else ()),
        media_type="text/plain; charset=utf-8",
        headers=FOREIGN,
    )


async def log_bytes(
    request: Request, source: LogSource, offset: int, topics: tuple[str, ...]
) -> AsyncIterator[bytes]:
    """From `offset` to the end; a follower, who has topics, waits for more until the step is over."""
    pool, bell = request.app.state.pool, request.app.state.bell
    while True:
        with bell.listening(*topics) as ring:
            async with pool.connection() as connection:
                # Asked before reading: what was written before the end is then surely read.
                over = not topics or await logs.is_over(connection, source.id)
                pieces = await logs.next_bytes(connection, source.id, offset)
            for piece in pieces:
                offset += len(piece)
                yield piece
            if not pieces:
                if over or bell.closed.is_set():
                    return
                await bell.wait(ring, 5)


def artifact(found: Artifact, request: Request, name: str = "") -> Response:
    """All of it, or the part that is asked for. Whoever saves it is offered the last part of the name."""
    span = byte_ranges.span_of(request.headers.get("Range"), found.size_bytes)
    headers = {**headers_of_file(name or found.name, found.sha256), **span.headers}
    if span.status == byte_ranges.NOT_THERE:
        return Response(status_code=span.status, headers=headers)
    part = (span.begin, span.end) if span.status == byte_ranges.PART else None
    content = storage.storage.get().read(found.key, part)
    return StreamingResponse(content, span.status, headers, "application/octet-stream")


def headers_of_file(name: str, tag: str) -> dict[str, str]:
    saved_as = quote(PurePosixPath(name).name)
    return {
        **FOREIGN,
        "Content-Disposition": f"attachment; filename*=UTF-8''{saved_as}",
        "ETag": f'"{tag}"',
    }
