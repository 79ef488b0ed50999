"""Bytes of stored files out, without holding them all.

What is in them was written by other people's programs, so no browser may take it for ours.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from changes.results import bundles, contents
from changes.results.contents import Content
from changes.results.models import Artifact
from changes.web import byte_ranges

FOREIGN = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "no-store",
}


def artifact(found: Artifact, request: Request, name: str = "") -> Response:
    """All of it, or the part that is asked for. Whoever saves it is offered the last part of the name."""
    headers = headers_of_file(name or found.name, found.sha256)
    if_range = request.headers.get("If-Range")
    is_same = if_range is None or if_range == headers["ETag"]
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return content(contents.of_artifact(found), request.headers.get("Range") if is_same else None, headers)


def content(of: Content, asked: str | None, headers: dict[str, str]) -> Response:
    """`asked` is the header Range."""
    span = byte_ranges.span_of(asked, of.size_bytes)
    headers = {**FOREIGN, **headers, **span.headers}
    media_type = headers.pop("Content-Type", "application/octet-stream")
    if span.status == byte_ranges.NOT_THERE:
        return Response(status_code=span.status, headers=headers)
    part = (span.begin, span.end) if span.status == byte_ranges.PART else None
    answer = StreamingResponse(of.read(part), span.status, headers)
    answer.headers["Content-Type"] = media_type
    return answer


def bundle(files: Sequence[Artifact], name: str) -> Response:
    """One ZIP; files of several steps lie in a folder for each."""
    steps = {each.step_id: each.step for each in files}
    folders = {
        step_id: f"{step.job.number}-{step.label}-{step_id.hex[-6:]}/" for step_id, step in steps.items()
    }
    entries = [
        (
            bundles.safe((folders[each.step_id] if len(steps) > 1 else "") + each.name),
            contents.of_artifact(each),
            each.date_created,
        )
        for each in files
    ]
    return StreamingResponse(bundles.zipped(entries), 200, {**FOREIGN, **saved_as(name)}, "application/zip")


def headers_of_file(name: str, tag: str) -> dict[str, str]:
    return {**FOREIGN, **saved_as(name), "ETag": f'"{tag}"'}


def saved_as(name: str) -> dict[str, str]:
    last = quote(PurePosixPath(name).name.encode(errors="replace"))
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{last or 'file'}"}
