"""Which format a report has, by how it begins. Its name decides only what stays in doubt. Pure."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from changes.results.formats import (
    ctest,
    go_test,
    junit,
    nunit,
    results_json,
    robot,
    tap,
    trx,
    xml_stream,
    xunit_net,
)
from changes.results.formats.seen import DEFAULT_LIMITS, Limits, TestSeen

Parser = Callable[..., Iterator[TestSeen]]

# A long comment or licence may stand before the first element.
BEGINNING_BYTES = 256 * 1024
JUNIT_ROOTS = frozenset({"testsuites", "testsuite"})
BY_ROOT: dict[str, Parser] = {
    root: format_.parse for format_ in (nunit, xunit_net, trx, ctest, robot) for root in format_.ROOTS
} | dict.fromkeys(JUNIT_ROOTS, junit.parse)
BY_SUFFIX: dict[str, Parser] = {".tap": tap.parse, ".json": go_test.parse}
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
GO_EVENT = re.compile(rb'\{[^\n]{0,4000}"Action":\s*"')
TAP_LINE = re.compile(rb"(?:TAP version [0-9]+|1\.\.[0-9]+|(?:not )?ok\b|Bail out!)[^\n]*(?:\n|$)")
OTHER_LINES_MAX = 100


def parse(stream: BinaryIO, name: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """By whichever parser; one that is not known is read as JUnit always was, which says what is wrong."""
    parser = known_parser(stream) or BY_SUFFIX.get(PurePosixPath(name).suffix) or junit.parse
    return parser(stream, limits=limits)


def known_parser(stream: BinaryIO) -> Parser | None:
    """Only if it is sure; the stream is where it was."""
    began_at = stream.tell()
    beginning = stream.read(BEGINNING_BYTES)
    stream.seek(began_at)
    bare = beginning.removeprefix(BYTE_ORDER_MARKS[0]).lstrip()
    if bare.startswith((b"<", *BYTE_ORDER_MARKS[1:])) or b"<\0" in bare[:4] or b"\0<" in bare[:4]:
        root = xml_stream.root_of(stream, look_at_bytes=BEGINNING_BYTES)
        return BY_ROOT.get(root or "")
    if any(GO_EVENT.match(line) for line in first_lines(bare)):
        return go_test.parse
    if bare.startswith(b"{"):
        return results_json.parse if b'"tests"' in bare else None
    return tap.parse if any(TAP_LINE.match(line) for line in first_lines(bare)) else None


def first_lines(beginning: bytes) -> list[bytes]:
    """What else was printed may come before the first line of the format."""
    return beginning.split(b"\n", OTHER_LINES_MAX)[:OTHER_LINES_MAX]
