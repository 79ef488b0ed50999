"""Files that builds left behind: lists of them, and what is in one, as far as it can be shown."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import ids
from changes.base.db import Session
from changes.base.errors import Invalid, NotFound, TooLarge
from changes.base.process import settings
from changes.builds.models import Build
from changes.results import archives, artifact_queries, artifacts, contents
from changes.results.artifact_queries import Wanted
from changes.results.contents import Content
from changes.results.file_marks import LOG_NAME_END
from changes.results.models import Artifact
from changes.web import call, paging, sandboxed, streams
from changes.web.pages import artifact_words, drawing, links, markdown, previews
from changes.web.pages.builds import find, frame_of
from changes.web.pages.previews import Kind
from changes.web.params import OptionalText, Parameters, parameters

pages = APIRouter()
ROWS_PER_PAGE = 150
ENTRIES_SHOWN = 400
BUILD = "/projects/{slug}/builds/{reference}/"
FILES_BESIDE_MAX = 500


class ListAsked(Parameters):
    """Of a job or a step alone; `name` is a part of the names."""

    job: OptionalText = None
    step: OptionalText = None
    name: str = ""


class FileAsked(Parameters):
    """One file of an archive, by its place in the list."""

    inside: str = ""


@pages.get(f"{BUILD}artifacts/")
def show_list(
    request: Request, slug: str, reference: str, asked: Annotated[ListAsked, parameters(ListAsked)]
) -> Response:
    page = paging.page_of(request, size=ROWS_PER_PAGE, size_max=1000)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        wanted = wanted_of(build, asked)
        part = artifact_queries.listed(this.session, wanted, page)
        kept = artifact_queries.kept(this.session, build, settings.get())
        newer, older = paging.newer_and_older(request, page, part)
        values = {
            **frame_of(build),
            "asked": asked,
            "groups": artifact_words.groups(part.rows, kept),
            "sum": artifact_queries.summed(this.session, wanted),
            "is_filtered": bool(asked.name or asked.job or asked.step),
            "scope": artifact_words.scope(part.rows, asked.job, asked.step),
            "before": newer,
            "after": older,
        }
        return drawing.page(request, "artifacts.html", values)


@pages.get(f"{BUILD}artifacts/all.zip")
def take_all(
    request: Request, slug: str, reference: str, asked: Annotated[ListAsked, parameters(ListAsked)]
) -> Response:
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        found = artifact_queries.together(this.session, wanted_of(build, asked))
        return streams.bundle(found, f"{build.project.slug}-{build.number}.zip")


def wanted_of(build: Build, asked: ListAsked) -> Wanted:
    job_id = ids.parse(asked.job) if asked.job else None
    step_id = ids.parse(asked.step) if asked.step else None
    return Wanted(build.id, job_id, step_id, asked.name.strip())


# --- one file ---------------------------------------------------------------------------------------------


@pages.get("/artifacts/{artifact_id:uuid}/")
def show_file(
    request: Request, artifact_id: UUID, asked: Annotated[FileAsked, parameters(FileAsked)]
) -> Response:
    with call.reading(request) as this:
        artifact = found(this.session, artifact_id)
        build = artifact.step.job.build
        kept = artifact_queries.kept(this.session, build, settings.get())
        values = {
            **frame_of(build),
            "tab": "artifacts",
            "artifact": artifact,
            "step": artifact.step,
            "name": artifact_words.name_parts(artifact.name),
            "until": kept.until(artifact.name),
            **shown(this.session, artifact, asked.inside),
        }
    answer = drawing.page(request, "artifact.html", values)
    answer.headers["Content-Security-Policy"] = policy()
    return answer


def found(session: Session, artifact_id: UUID) -> Artifact:
    artifact = artifact_queries.with_step(session, artifact_id)
    if artifact is None:
        raise NotFound("There is no such artifact.")
    return artifact


def policy() -> str:
    """Of the page around a file: frames and sounds may come from where files are shown."""
    own = settings.get().artifact_url or ""
    return f"{drawing.POLICY}; media-src 'self'; frame-src 'self' {own}".rstrip()


def shown(session: Session, artifact: Artifact, inside: str) -> dict[str, Any]:
    """What the page tells of the file, or of one within it."""
    if artifact.date_removed is not None:
        return {"kind": "removed", "member": None}
    content = contents.of_artifact(artifact)
    try:
        return shown_here(session, artifact, content, inside)
    except contents.Lost:
        return {"kind": "lost", "member": None}


def shown_here(session: Session, artifact: Artifact, content: Content, inside: str) -> dict[str, Any]:
    if inside:
        entry = archives.entry_at(content, int(inside) if inside.isdecimal() else -1)
        member = archives.member(content, entry.place)
        head = taken(member.chunks, previews.HEAD_BYTES)
        inner = Content(entry.name, entry.size_bytes, "", lambda _span: iter(()))
        return {"member": entry, "member_name": artifact_words.name_parts(entry.name), **of(inner, head)}
    told = of(content, content.beginning(previews.HEAD_BYTES))
    if told["kind"] == Kind.MARKDOWN:
        told["markdown"] = markdown.drawn(told["source"], beside(session, artifact))
    if told["kind"] == Kind.HTML:
        told["frame"] = sandboxed.address(artifact.step_id, artifact.name)
    if told["kind"] == Kind.ARCHIVE:
        told |= listed(content)
    return {"member": None, **told, "log": log_of(artifact)}


def taken(chunks: Iterable[bytes], size_max_bytes: int) -> bytes:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) >= size_max_bytes:
            break
    return data[:size_max_bytes]


def of(content: Content, head: bytes) -> dict[str, Any]:
    seen = previews.seen(content.name, head)
    values: dict[str, Any] = {"kind": seen.kind, "media_type": seen.media_type, "log": ""}
    if seen.kind in (Kind.TEXT, Kind.MARKDOWN, Kind.HTML):
        values["text"] = previews.text(content.name, head, size_bytes=content.size_bytes)
        values["source"] = head.decode(errors="replace")
    return values


def listed(content: Content) -> dict[str, Any]:
    try:
        found = archives.listing(content)
    except (Invalid, TooLarge) as error:
        return {"entries": [], "entry_count": None, "trouble": error.message}
    entries = [(each, artifact_words.name_parts(each.name)) for each in found.entries[:ENTRIES_SHOWN]]
    return {"entries": entries, "entry_count": found.count, "trouble": ""}


def beside(session: Session, artifact: Artifact) -> dict[str, str]:
    """Files of the same step under the names by which a text in this folder calls them."""
    folder = artifact.name.rpartition("/")[0]
    others: Sequence[Artifact] = artifacts.of_step(session, artifact.step_id)[:FILES_BESIDE_MAX]
    named = {each.name: f"/artifacts/{each.id.hex}/raw/" for each in others if each.date_removed is None}
    near = {name.removeprefix(f"{folder}/"): address for name, address in named.items()} if folder else {}
    return {**named, **near}


def log_of(artifact: Artifact) -> str:
    return links.log_of_artifact(artifact.id) if artifact.name.endswith(LOG_NAME_END) else ""
