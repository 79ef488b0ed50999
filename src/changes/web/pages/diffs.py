"""A unified diff as rows to draw: a part of it at a time, in colours, with what was said beside its lines."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from changes.projects.diffs import FileDiff, Line, parse, text_of
from changes.projects.models import Comment
from changes.web.pages import highlight, unseen
from changes.web.pages.highlight import Block, Piece

__all__ = ["Asked", "Drawn", "FileDiff", "FileShown", "Line", "Row", "drawn", "parse", "text_of"]

PART_LINES = 1500
# Of one line, so that a program on one line is not a page of megabytes.
SHOWN_MAX_CHARS = 2000
CODE = ("same", "added", "removed")
Place = tuple[str, int]


@dataclass(frozen=True)
class Asked:
    """Which part; what was said, and of which line somebody is about to say something."""

    part: int = 1
    said: Sequence[Comment] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Row:
    kind: str
    pieces: Sequence[Piece]
    old: int | None = None
    new: int | None = None
    said: Sequence[Comment] = ()
    is_asked: bool = False


@dataclass(frozen=True)
class FileShown:
    """`file` is all of it; the rows are those of this part."""

    file: FileDiff
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Drawn:
    files: list[FileShown]
    file_count: int
    part: int
    part_count: int
    # Whether the line that somebody is about to say something of is among the rows.
    has_asked: bool
    # Which comments stand beside their lines here.
    beside: frozenset[UUID]


def drawn(files: Sequence[FileDiff], asked: Asked = Asked()) -> Drawn:
    total = sum(len(file.lines) for file in files)
    part_count = max(1, -(-total // PART_LINES))
    part = min(max(1, asked.part), part_count)
    cut = list(cut_out(files, (part - 1) * PART_LINES))
    beside = by_place(asked.said)
    shown = []
    for (file, lines), pieces in zip(cut, coloured(cut), strict=True):
        shown.append(FileShown(file, [*rows_of(file, lines, pieces, beside, asked.place)]))
    rows = [row for each in shown for row in each.rows]
    return Drawn(
        shown,
        len(files),
        part,
        part_count,
        has_asked=any(row.is_asked for row in rows),
        beside=frozenset(comment.id for row in rows for comment in row.said),
    )


def cut_out(files: Sequence[FileDiff], start: int) -> Iterator[tuple[FileDiff, list[Line]]]:
    """Files without lines, as those that were only renamed, stand where they are."""
    at, end = 0, start + PART_LINES
    for file in files:
        first, last = max(start - at, 0), end - at
        is_here = at < end and (first < len(file.lines) or (not file.lines and at >= start))
        if is_here:
            yield file, file.lines[first:last]
        at += len(file.lines)


def by_place(said: Sequence[Comment]) -> dict[Place, list[Comment]]:
    found: dict[Place, list[Comment]] = defaultdict(list)
    for comment in said:
        if comment.path and comment.line is not None:
            found[comment.path, comment.line].append(comment)
    return found


def rows_of(
    file: FileDiff,
    lines: Sequence[Line],
    pieces: Sequence[Sequence[Piece]],
    beside: Mapping[Place, Sequence[Comment]],
    place: Place | None,
) -> Iterator[Row]:
    for line, in_pieces in zip(lines, pieces, strict=True):
        here = (file.path, line.new) if line.new is not None else None
        said = beside.get(here, ()) if here else ()
        yield Row(line.kind, in_pieces, line.old, line.new, said, is_asked=here is not None and here == place)


# --- colours ------------------------------------------------------------------------------


def coloured(cut: Sequence[tuple[FileDiff, list[Line]]]) -> list[list[list[Piece]]]:
    """Of each file its lines in pieces. Each side of a hunk is read by itself: both together are no code,
    and what a hunk leaves open, a later one knows nothing of.
    """
    places, blocks = [], []
    for at, (file, lines) in enumerate(cut):
        language = highlight.language_of(file.path)
        for rows in sides(lines):
            places.append((at, rows))
            blocks.append(Block(language, [lines[row].text for row in rows]))
    found = [[[Piece(line.text)] for line in lines] for _, lines in cut]
    for (at, rows), told in zip(places, highlight.coloured(blocks), strict=True):
        for row, pieces in zip(rows, told, strict=True):
            found[at][row] = pieces
    return [[readable(pieces) for pieces in lines] for lines in found]


def sides(lines: Sequence[Line]) -> Iterator[list[int]]:
    """The old side first, so that a line of both has the colours of the new one."""
    for is_code, group in groupby(range(len(lines)), key=lambda row: lines[row].kind in CODE):
        if is_code:
            rows = list(group)
            old = [row for row in rows if lines[row].kind != "added"]
            if len(old) < len(rows) or any(lines[row].kind == "removed" for row in rows):
                yield old
            yield [row for row in rows if lines[row].kind != "removed"]


def readable(pieces: Sequence[Piece]) -> list[Piece]:
    """What cannot be seen is named, and a very long line ends."""
    found: list[Piece] = []
    room = SHOWN_MAX_CHARS
    for piece in pieces:
        found += named(Piece(piece.text[:room], piece.kind))
        room = max(0, room - len(piece.text))
    left = sum(len(piece.text) for piece in pieces) - SHOWN_MAX_CHARS
    return [*found, Piece(f" {left:,} more characters", "unseen")] if left > 0 else found


def named(piece: Piece) -> Iterator[Piece]:
    for text, is_unseen in unseen.parts(piece.text):
        yield Piece(text, "unseen") if is_unseen else piece._replace(text=text)
