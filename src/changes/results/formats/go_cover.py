"""What `go test -coverprofile` writes: blocks of statements, and how often each ran. Pure."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from changes.results.formats.line_marks import (
    COVERED,
    DEFAULT_LIMITS,
    UNCOVERED,
    Budget,
    CoverageLimits,
    FileSeen,
    LineStates,
    has_run,
    name_of,
)
from changes.results.formats.lines import lines_of
from changes.results.formats.seen import Malformed, Refused

LINE_MAX_BYTES = 16 * 1024
MODE = re.compile(r"mode: (?:set|count|atomic)\s*")
# name:line.column,line.column statements count
BLOCK = re.compile(r"(.+):([0-9]{1,9})\.[0-9]{1,9},([0-9]{1,9})\.[0-9]{1,9} ([0-9]{1,9}) ([0-9]{1,20})\s*")


def parse(stream: BinaryIO, *, limits: CoverageLimits = DEFAULT_LIMITS) -> Iterator[FileSeen]:
    """All of them at the end: the blocks of one file need not stand together."""
    reader = Reader(limits)
    number, fault = 1, ""
    try:
        for line in lines_of(stream, LINE_MAX_BYTES):
            number = line.number
            reader.read(line.text)
    except Refused as refusal:
        fault = str(refusal)
    if not fault and not reader.has_mode:
        fault = "the file is empty"
    for name, lines in reader.files.items():
        yield FileSeen(name, lines.marks())
    if fault:
        raise Malformed(fault, number)


class Reader:
    def __init__(self, limits: CoverageLimits) -> None:
        self.limits, self.budget = limits, Budget(limits)
        self.files: dict[str, LineStates] = {}
        self.has_mode = False

    def read(self, text: str) -> None:
        if MODE.fullmatch(text):
            # Profiles that were put one behind the other are one.
            self.has_mode = True
        elif not self.has_mode:
            raise Refused("it does not begin with its mode, as a profile of Go does")
        elif block := BLOCK.fullmatch(text):
            self.block(block)
        elif text.strip():
            raise Refused(f"{text[:80]!r} is no block of a profile")

    def block(self, block: re.Match[str]) -> None:
        """A line where one block ends and another begins has run when either did."""
        first, last = int(block[2]), int(block[3])
        if block[4] == "0":
            return
        if last < first:
            raise Refused("a block ends before it begins")
        self.budget.count_told(last - first + 1)
        ran = COVERED if has_run(block[5]) else UNCOVERED
        self.lines_of(name_of(block[1], self.limits)).note_block(first, last, ran)

    def lines_of(self, name: str) -> LineStates:
        if name not in self.files:
            self.budget.count_file()
            self.files[name] = LineStates(self.budget)
        return self.files[name]
