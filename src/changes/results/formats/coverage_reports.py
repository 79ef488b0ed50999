"""Which format a report of coverage has, by how it begins. Pure."""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from changes.results.formats import coverage_json, coverage_xml, go_cover, lcov
from changes.results.formats.line_marks import DEFAULT_LIMITS, CoverageLimits, FileSeen
from changes.results.formats.seen import Malformed

Parser = Callable[..., Iterator[FileSeen]]
BEGINNING_BYTES = 16 * 1024
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
TRACE = re.compile(rb"(?:\s|#[^\n]*\n)*(?:TN:[^\n]*\n\s*)*(?:SF:|TN:|$)")


def parse(stream: BinaryIO, *, limits: CoverageLimits = DEFAULT_LIMITS) -> Iterator[FileSeen]:
    """Files as they come, some of them in parts; Malformed comes after those before the fault."""
    beginning = beginning_of(stream)
    if not beginning.strip():
        raise Malformed("the file is empty", 1)
    parser = coverage_xml.parse if is_xml(beginning) else other_parser(beginning)
    if parser is None:
        raise Malformed("it begins like no report of coverage that is known", 1)
    yield from parser(stream, limits=limits)


def is_known(stream: BinaryIO) -> bool:
    """Whether it begins like one; the stream is where it was."""
    beginning = beginning_of(stream)
    if is_xml(beginning):
        return coverage_xml.root_of(beginning) in coverage_xml.ROOTS
    return bool(beginning.strip()) and other_parser(beginning) is not None


def beginning_of(stream: BinaryIO) -> bytes:
    began_at = stream.tell()
    beginning = stream.read(BEGINNING_BYTES)
    stream.seek(began_at)
    return beginning


def is_xml(beginning: bytes) -> bool:
    bare = beginning.removeprefix(BYTE_ORDER_MARKS[0]).lstrip()
    return bare.startswith((b"<", *BYTE_ORDER_MARKS[1:])) or b"<\0" in bare[:4] or b"\0<" in bare[:4]


def other_parser(beginning: bytes) -> Parser | None:
    bare = beginning.removeprefix(BYTE_ORDER_MARKS[0]).lstrip()
    if bare.startswith(b"mode:"):
        return go_cover.parse
    if bare.startswith(b"{"):
        # Many a tool calls its JSON so; this one says at its beginning what it is.
        return coverage_json.parse if b'"meta"' in beginning and b'"files"' in beginning else None
    return lcov.parse if TRACE.match(bare) else None
