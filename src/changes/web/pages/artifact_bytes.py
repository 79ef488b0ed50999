"""The bytes of files that builds left behind, as browsers ask for them: never as a page of ours."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import register_url_convertor

from changes.base.errors import NotFound
from changes.results import archives, artifacts, contents
from changes.web import call, sandboxed, streams
from changes.web.pages import previews
from changes.web.pages.previews import Kind
from changes.web.paths import FileName

pages = APIRouter()
register_url_convertor("file", FileName())
OWN_ELEMENT = (Kind.IMAGE, Kind.VIDEO, Kind.AUDIO, Kind.PDF)
# A drawing may have its style; nothing else is fetched, and nothing runs.
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"
# The browser's own viewer of PDF does not work in a sandbox; it runs apart from all pages.
ALONE_PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"


@pages.get("/artifacts/{artifact_id:uuid}/raw/")
def show_bytes(request: Request, artifact_id: UUID) -> Response:
    """For the browser's own elements: a picture, a video, a sound, a PDF, and nothing else."""
    with call.reading(request) as this:
        artifact = artifacts.by_id(this.session, artifact_id)
    content = contents.of_artifact(artifact)
    seen = previews.seen(content.name, content.beginning(previews.HEAD_BYTES))
    if seen.kind not in OWN_ELEMENT:
        return streams.artifact(artifact, request)
    headers = {
        "Content-Security-Policy": ALONE_PDF if seen.kind == Kind.PDF else ALONE,
        "Content-Disposition": "inline",
        "Content-Type": seen.media_type,
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return streams.content(content, request.headers.get("Range"), headers)


@pages.get("/artifacts/{artifact_id:uuid}/inside/{place:number}/")
def take_member(request: Request, artifact_id: UUID, place: int) -> Response:
    with call.reading(request) as this:
        content = contents.of_artifact(artifacts.by_id(this.session, artifact_id))
    member = archives.member(content, place)
    headers = {**streams.FOREIGN, **streams.saved_as(member.entry.name)}
    return StreamingResponse(member.chunks, 200, headers, "application/octet-stream")


@pages.get(f"{sandboxed.PREFIX}{{token}}/{{name:file}}")
def show_sandboxed(request: Request, token: str, name: str) -> Response:
    """Nobody is asked who he is: the address opens the files of one step, and only for some hours."""
    sandboxed.refuse_other_host(request)
    step_id = sandboxed.step_of(token)
    with call.open_to_all(request) as this:
        artifact = artifacts.named(this.session, step_id, name)
        within = f"{name.rstrip('/')}/index.html".lstrip("/")
        artifact = artifact or artifacts.named(this.session, step_id, within)
    if artifact is None:
        raise NotFound("The step left no such file.")
    headers = sandboxed.headers(request, token, artifact.name)
    content = contents.of_artifact(artifact)
    return streams.content(content, request.headers.get("Range"), headers)
