"""A file of a repository at one of its revisions, with addresses for its lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.projects import files, queries
from changes.projects.files import FileAt
from changes.web import call, paging
from changes.web.pages import diffs, drawing, highlight, links
from changes.web.pages.highlight import Block, Piece
from changes.web.params import Parameters, parameters

pages = APIRouter()
SHOWN_MAX_BYTES = 1024 * 1024
PART_LINES = 1000
LINES = re.compile("([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8}))?")


class FileAsked(Parameters):
    # `10` or `10-20`.
    lines: str = ""


@dataclass(frozen=True)
class Row:
    number: int
    pieces: Sequence[Piece]
    is_chosen: bool = False


@dataclass(frozen=True)
class FileDrawn:
    path: str
    rows: Sequence[Row]
    line_count: int
    part: int = 1
    part_count: int = 1


@pages.get("/repositories/{repository_id:uuid}/files/{revision}/{path:path}")
def show_file(
    request: Request,
    repository_id: UUID,
    revision: str,
    path: str,
    asked: Annotated[FileAsked, parameters(FileAsked)],
) -> Response:
    with call.reading(request) as this:
        repository = queries.repository(this.session, repository_id)
        projects = queries.projects_of_repositories(this.session, [repository_id])[repository_id]
        place = files.place(this.session, repository, revision, path)
    found = files.read(place, SHOWN_MAX_BYTES)
    path = found.place.path
    values = {
        "repository": repository,
        "project": projects[0] if projects else None,
        "revision": found.place.revision,
        "path": path,
        "found": found,
        "shown_max": SHOWN_MAX_BYTES,
        "address": links.file_at(repository_id, found.sha, path),
        "drawn": drawn_of(found, path, chosen(asked.lines), paging.whole_number(request, "part", 0)),
    }
    return drawing.page(request, "file.html", values)


def chosen(text: str) -> tuple[int, int] | None:
    """The first and the last one."""
    told = LINES.fullmatch(text)
    if told is None:
        return None
    first, last = int(told[1]), int(told[2] or told[1])
    return min(first, last), max(first, last)


def drawn_of(found: FileAt, path: str, marked: tuple[int, int] | None, part: int) -> FileDrawn | None:
    """None of what is no text, or too much of it."""
    if found.content is None or found.is_binary:
        return None
    lines = lines_of(found.content)
    # Nobody could tell by its number which byte it was once each is replaced by the same sign.
    told = highlight.coloured([Block(highlight.language_of(path), lines)])[0]
    return drawn(path, told, marked, part)


def lines_of(content: bytes) -> list[str]:
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if not lines[-1]:
        lines.pop()
    # Where each line ends like this it is how the file is written, and not worth a mark on each of them.
    return [line[:-1] for line in lines] if all(line.endswith("\r") for line in lines) else lines


def drawn(
    path: str, lines: Sequence[Sequence[Piece]], marked: tuple[int, int] | None = None, part: int = 0
) -> FileDrawn:
    """The part that was asked for, or else the one where the marked lines begin."""
    first, last = marked or (0, 0)
    part_count = max(1, -(-len(lines) // PART_LINES))
    part = min(max(1, part or -(-first // PART_LINES)), part_count)
    start = (part - 1) * PART_LINES
    rows = [
        Row(number, diffs.readable(pieces), first <= number <= last)
        for number, pieces in enumerate(lines[start : start + PART_LINES], start + 1)
    ]
    return FileDrawn(path, rows, len(lines), part, part_count)
