"""A log on a page of its own, and the parts of any log that the script asks for."""

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import Field

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.results import log_errors, log_finding, log_reading
from changes.results.log_finding import Found, Wanted, Within
from changes.results.log_reading import Line, Source
from changes.web import call, streams
from changes.web.pages import ansi, drawing, links, log_groups, log_viewer, logview
from changes.web.pages.logview import Asked, Sought
from changes.web.params import Parameters, parameters

pages = APIRouter()
COPIED_LINES_MAX, COPIED_BYTES_MAX = 20_000, 8 * 1024 * 1024
GROUPS_MAX, GROUPS_LOOK_S = 4000, 4.0
# Of a log that does not change any more.
KEPT_FOR_S = 86_400


class Blocks(Sought):
    """Numbers of blocks, with commas between them."""

    blocks: Annotated[str, Field(pattern=r"^\d{1,12}(,\d{1,12}){0,7}$")]


class Span(Parameters):
    first: Annotated[int, Field(ge=1, lt=2**53)]
    last: Annotated[int, Field(ge=1, lt=2**53)]


class Size(Parameters):
    """How many lines the asker knows of."""

    total: int = 0


@pages.get("/logs/{log_id:uuid}/")
def show_log(request: Request, log_id: UUID, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    with call.reading(request) as this:
        log = log_viewer.find(this.session, log_id)
        view = log_viewer.alone(request, this.session, log, asked)
        build = log.step.job.build
        values = {"view": view, "step": log.step, "build": build, "project": build.project}
        return drawing.page(request, "log.html", values)


@pages.get("/logs/{log_id:uuid}/lines/")
def show_lines(request: Request, log_id: UUID, asked: Annotated[Blocks, parameters(Blocks)]) -> Response:
    with call.reading(request) as this:
        log = log_viewer.find(this.session, log_id)
        manner = log_viewer.manner_of(log, asked, "", log_viewer.errors_in(this.session, log))
        numbers = [int(each) for each in asked.blocks.split(",")]
        blocks = [(each, logview.block(this.session, log.source, each, manner)) for each in numbers]
        total = log_reading.line_count(this.session, log.source)
        return fragment("log_blocks", blocks, links.log(log_id), total)


@pages.get("/logs/{log_id:uuid}/found/")
def show_found(request: Request, log_id: UUID, asked: Annotated[Sought, parameters(Sought)]) -> Response:
    with call.reading(request) as this:
        log = log_viewer.find(this.session, log_id)
        search = logview.search(this.session, log.source, asked, log_viewer.manner_of(log, asked, "", ()))
        total = log_reading.line_count(this.session, log.source)
        return fragment("log_found", search, links.log(log_id), total)


def fragment(macro: str, *values: object) -> Response:
    """What a component draws, without the frame of a page."""
    components: Any = drawing.templates.env.globals["ui"]
    return HTMLResponse(str(getattr(components, macro)(*values)), headers=drawing.HEADERS)


# --- text --------------------------------------------------------------------------------------------


@pages.get("/logs/{log_id:uuid}/text/")
def show_text(request: Request, log_id: UUID, asked: Annotated[Span, parameters(Span)]) -> Response:
    """These lines as they are read: to be pasted somewhere."""
    with call.reading(request) as this:
        log = log_viewer.find(this.session, log_id)
        text = copied(this.session, log.source, asked)
        return PlainTextResponse(text, headers=streams.FOREIGN)


def copied(session: Session, source: Source, asked: Span) -> str:
    if asked.last - asked.first >= COPIED_LINES_MAX:
        raise Invalid(f"At most {COPIED_LINES_MAX:,} lines are copied at once.", ["last"])
    said: list[str] = []
    size, at = 0, asked.first
    while at <= asked.last and (lines := log_reading.lines(session, source, at, asked.last - at + 1)):
        at = lines[-1].number + 1
        said += [ansi.text_of(whole(session, source, line).decode("utf-8", "replace")) for line in lines]
        size += sum(line.size_bytes for line in lines)
        if size > COPIED_BYTES_MAX:
            raise Invalid("That is too much to be copied at once; the whole log can be downloaded.", ["last"])
    return "".join(f"{text}\n" for text in said)


def whole(session: Session, source: Source, line: Line) -> bytes:
    if not line.cut_bytes or line.size_bytes > COPIED_BYTES_MAX:
        return line.text
    end = line.offset + line.size_bytes
    return b"".join(log_reading.bytes_between(session, source, line.offset, end))


# --- groups ------------------------------------------------------------------------------------------


@pages.get("/logs/{log_id:uuid}/groups/")
def show_groups(request: Request, log_id: UUID, asked: Annotated[Size, parameters(Size)]) -> Response:
    """[first line, last line, depth, title, whether it is closed at first] of each."""
    with call.reading(request) as this:
        log = log_viewer.find(this.session, log_id)
        total = log_reading.line_count(this.session, log.source)
        found = marked(this.session, log.source, log.titles)
        marks = list(log_groups.marks(numbered(found.lines), log.titles))
        groups = log_groups.groups(marks, total if found.is_complete else found.searched_to)
        if log.step.result in log_errors.LOOKED_AT:
            groups = log_groups.with_end_open(groups, total)
        told = [
            [each.first, each.last, each.depth, ansi.text_of(each.title), each.is_closed] for each in groups
        ]
        is_final = not log.is_running and asked.total == total
        kept = f"private, max-age={KEPT_FOR_S}" if is_final else "no-store"
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return JSONResponse({"total": total, "groups": told}, headers=headers)


def numbered(lines: Iterable[Line]) -> Iterable[tuple[int, str]]:
    return ((line.number, ansi.decoded(line.text)) for line in lines)


def marked(session: Session, source: Source, titles: Collection[str]) -> Found:
    """Lines that may begin or end a group."""
    commands = "|".join(re.escape(title) for title in sorted(titles))
    pattern = f"{log_groups.MARKED}|^\\$ (?:{commands})\\s*$" if commands else log_groups.MARKED
    if len(pattern) > log_finding.PATTERN_MAX_CHARS:
        pattern = rf"{log_groups.MARKED}|^\$ "
    wanted = Wanted(pattern, is_regex=True)
    return log_finding.find(session, source, wanted, Within(0, GROUPS_MAX, GROUPS_LOOK_S))
