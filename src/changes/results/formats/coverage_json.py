"""What `coverage json` of coverage.py writes: read whole, but of one file at a time in numbers. Pure."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from changes.results.formats.line_marks import (
    COVERED,
    DEFAULT_LIMITS,
    PARTIAL,
    UNCOVERED,
    Budget,
    CoverageLimits,
    FileSeen,
    LineStates,
    Marks,
    name_of,
)
from changes.results.formats.seen import Malformed, Refused

SIZE_MAX_BYTES = 128 * 1024 * 1024
PLACE = re.compile(r"\(byte ([0-9]+)\)")


class Whole(msgspec.Struct):
    files: dict[str, msgspec.Raw]


class OfFile(msgspec.Struct):
    executed_lines: list[int]
    missing_lines: list[int]
    # From which line to which, negative for the end of a function.
    missing_branches: list[tuple[int, int]] = []


def parse(stream: BinaryIO, *, limits: CoverageLimits = DEFAULT_LIMITS) -> Iterator[FileSeen]:
    data = stream.read(SIZE_MAX_BYTES + 1)
    if len(data) > SIZE_MAX_BYTES:
        raise Malformed(f"the file is larger than {SIZE_MAX_BYTES // 1024**2} MiB", 1)
    budget = Budget(limits)
    for name, raw in decoded(data, Whole, data).files.items():
        told = decoded(raw, OfFile, data)
        try:
            yield FileSeen(name_of(name, limits), marks_of(told, budget))
        except Refused as refusal:
            raise Malformed(f"{name[:80]}: {refusal}", 1) from None


def decoded(part: bytes | msgspec.Raw, kind: type[Any], whole: bytes) -> Any:
    try:
        return msgspec.json.decode(part, type=kind)
    except msgspec.DecodeError as error:
        text = str(error)
        place = PLACE.search(text)
        line = whole.count(b"\n", 0, int(place[1])) + 1 if place else 1
        raise Malformed(f"it is not what coverage.py writes: {text}", line) from None
    except (RecursionError, UnicodeDecodeError):
        raise Malformed("it is not JSON", 1) from None


def marks_of(told: OfFile, budget: Budget) -> Marks:
    budget.count_file()
    budget.count_told(len(told.executed_lines) + len(told.missing_lines))
    lines = LineStates(budget)
    partial = {line for line, _ in told.missing_branches}
    for line in told.executed_lines:
        lines.note(checked(line), PARTIAL if line in partial else COVERED)
    for line in told.missing_lines:
        lines.note(checked(line), UNCOVERED)
    return lines.marks()


def checked(line: int) -> int:
    if line < 0:
        raise Refused(f"there is no line {line}")
    return line
