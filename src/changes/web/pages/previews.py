"""What a file is shown as, by its name and its first bytes. Pure.

The name is a claim and the bytes are the proof: a picture is one when it begins as one. Text of all kinds is
drawn by us; pictures and sounds by the browser, from an address that may run nothing; pages of HTML only in
a frame that is cut off from us (sandboxed.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from changes.results import archives
from changes.web.pages import highlight, unseen
from changes.web.pages.highlight import Block, Piece

HEAD_BYTES = 128 * 1024
LINES_MAX = 1_000
# What bytes that are no characters become, each one.
HALVES = "".join(map(chr, range(0xDC80, 0xDD00)))
# Of the bytes of what is no UTF-8 so many may be no text at all.
ODD_SHARE_MAX = 0.1


class Kind(StrEnum):
    EMPTY = "empty"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    PDF = "pdf"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    ARCHIVE = "archive"
    BYTES = "bytes"


# Where the mark stands, the mark itself, the kind and what the browser is told.
MARKS: tuple[tuple[int, bytes, Kind, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", Kind.IMAGE, "image/png"),
    (0, b"\xff\xd8\xff", Kind.IMAGE, "image/jpeg"),
    (0, b"GIF87a", Kind.IMAGE, "image/gif"),
    (0, b"GIF89a", Kind.IMAGE, "image/gif"),
    (8, b"WEBP", Kind.IMAGE, "image/webp"),
    (4, b"ftypavif", Kind.IMAGE, "image/avif"),
    (0, b"BM", Kind.IMAGE, "image/bmp"),
    (0, b"%PDF-", Kind.PDF, "application/pdf"),
    (0, b"\x1aE\xdf\xa3", Kind.VIDEO, "video/webm"),
    (4, b"ftyp", Kind.VIDEO, "video/mp4"),
    (0, b"OggS", Kind.AUDIO, "audio/ogg"),
    (0, b"fLaC", Kind.AUDIO, "audio/flac"),
    (0, b"ID3", Kind.AUDIO, "audio/mpeg"),
    (8, b"WAVE", Kind.AUDIO, "audio/wav"),
)
BMP = {".bmp", ".dib"}
SVG, SVG_BEGINS_WITHIN = "image/svg+xml", 4096
PAGES = {".html", ".htm", ".xhtml"}
MARKDOWN = {".md", ".markdown"}
# As `file` would say it, for people.
WORDS = {
    Kind.EMPTY: "empty",
    Kind.IMAGE: "picture",
    Kind.VIDEO: "video",
    Kind.AUDIO: "sound",
    Kind.PDF: "PDF",
    Kind.HTML: "page",
    Kind.MARKDOWN: "Markdown",
    Kind.TEXT: "text",
    Kind.ARCHIVE: "archive",
    Kind.BYTES: "bytes",
}
BY_ENDING = {
    Kind.IMAGE: {".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", *BMP},
    Kind.VIDEO: {".webm", ".mp4", ".mov", ".mkv"},
    Kind.AUDIO: {".wav", ".mp3", ".ogg", ".flac"},
    Kind.PDF: {".pdf"},
    Kind.HTML: PAGES,
    Kind.MARKDOWN: MARKDOWN,
}
TEXTS = {".txt", ".log", ".xml", ".json", ".csv", ".yml", ".yaml", ".toml", ".ini", ".cfg", ".lcov", ".info"}


@dataclass(frozen=True)
class Seen:
    kind: Kind
    # What the browser is told when it draws it itself.
    media_type: str = ""


@dataclass(frozen=True)
class Text:
    """The beginning of a file, in lines; what is not seen has names."""

    lines: Sequence[Sequence[Piece]]
    is_cut: bool
    is_utf8: bool
    language: str = field(default="")


def seen(name: str, head: bytes) -> Seen:
    if not head:
        return Seen(Kind.EMPTY)
    if archives.kind_of(name) is not None:
        return Seen(Kind.ARCHIVE)
    ending = PurePosixPath(name).suffix.lower()
    return by_mark(ending, head) or Seen(by_text(ending, head))


def by_mark(ending: str, head: bytes) -> Seen | None:
    for at, mark, kind, media_type in MARKS:
        if head[at : at + len(mark)] == mark and (mark != b"BM" or ending in BMP):
            return Seen(kind, media_type)
    is_drawing = ending == ".svg" and b"<svg" in head[:SVG_BEGINS_WITHIN]
    return Seen(Kind.IMAGE, SVG) if is_drawing else None


def by_text(ending: str, head: bytes) -> Kind:
    if not is_text(head):
        return Kind.BYTES
    if ending in PAGES:
        return Kind.HTML
    return Kind.MARKDOWN if ending in MARKDOWN else Kind.TEXT


def is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    text = head.decode(errors="replace")
    return text.count("\N{REPLACEMENT CHARACTER}") <= ODD_SHARE_MAX * len(text)


def by_name(name: str) -> Kind:
    """For lists, where nobody reads the files: what the name claims."""
    ending = PurePosixPath(name).suffix.lower()
    if archives.kind_of(name) is not None:
        return Kind.ARCHIVE
    for kind, endings in BY_ENDING.items():
        if ending in endings:
            return kind
    is_code = bool(highlight.language_of(name))
    return Kind.TEXT if is_code or ending in TEXTS else Kind.BYTES


def text(name: str, head: bytes, *, size_bytes: int) -> Text:
    """In colours where its language is known; half a character at the cut is left out."""
    is_cut = size_bytes > len(head)
    whole = head.decode(errors="surrogateescape")
    lines = (whole.rstrip(HALVES) if is_cut else whole).removesuffix("\n").split("\n")
    shown = [line.removesuffix("\r") for line in lines[:LINES_MAX]]
    is_utf8 = not any(half in whole for half in HALVES)
    language = highlight.language_of(name) if is_utf8 else ""
    coloured = highlight.coloured([Block(language, shown)])[0]
    told = [[part for piece in pieces for part in named(piece)] for pieces in coloured]
    return Text(told, is_cut or len(lines) > LINES_MAX, is_utf8, language)


def named(piece: Piece) -> Sequence[Piece]:
    return [Piece(part, "unseen" if is_name else piece.kind) for part, is_name in unseen.parts(piece.text)]
