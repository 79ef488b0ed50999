"""LCOV's tracefiles: a record for each file, a line of text for each fact. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from changes.results.formats.line_marks import (
    COVERED,
    DEFAULT_LIMITS,
    PARTIAL,
    UNCOVERED,
    Budget,
    CoverageLimits,
    FileSeen,
    LineStates,
    has_run,
    name_of,
    number_of,
)
from changes.results.formats.lines import lines_of
from changes.results.formats.seen import Malformed, Refused

LINE_MAX_BYTES = 64 * 1024
# Facts that we do not read: of functions, sums, conditions, whatever comes next.
FACT = re.compile(r"[A-Z][A-Z0-9]{1,9}:")
NOT_TAKEN = ("0", "-")


@dataclass
class Record:
    """One file on its way."""

    name: str
    lines: LineStates
    # Lines that have a branch nobody took.
    partial: set[int] = field(default_factory=set)

    def seen(self) -> FileSeen:
        states = self.lines.states
        for line in self.partial:
            if line < len(states) and states[line] == COVERED:
                states[line] = PARTIAL
        return FileSeen(self.name, self.lines.marks())


def parse(stream: BinaryIO, *, limits: CoverageLimits = DEFAULT_LIMITS) -> Iterator[FileSeen]:
    reader = Reader(limits)
    number, fault = 1, ""
    try:
        for line in lines_of(stream, LINE_MAX_BYTES):
            number = line.number
            if done := reader.read(line.text):
                yield done
    except Refused as refusal:
        fault = str(refusal)
    if reader.record is not None:
        fault = fault or "it ends in the middle of a record"
        yield reader.record.seen()
    if not fault and not reader.budget.files:
        fault = "it tells of no file"
    if fault:
        raise Malformed(fault, number)


class Reader:
    def __init__(self, limits: CoverageLimits) -> None:
        self.limits, self.budget = limits, Budget(limits)
        self.record: Record | None = None

    def read(self, text: str) -> FileSeen | None:
        """The file that this line ends."""
        fact, _, said = text.partition(":")
        if fact == "DA":
            self.line(said)
        elif fact == "BRDA":
            self.branch(said)
        elif fact == "SF":
            self.begin(said.strip())
        elif text.strip() == "end_of_record":
            done, self.record = self.record, None
            return done.seen() if done else None
        elif text.strip() and not text.startswith("#") and not FACT.match(text):
            raise Refused(f"{text[:80]!r} is no line of a tracefile")
        return None

    def begin(self, name: str) -> None:
        if self.record is not None:
            raise Refused("a record begins within another")
        if not name:
            raise Refused("a file has no name")
        self.budget.count_file()
        self.record = Record(name_of(name, self.limits), LineStates(self.budget))

    def line(self, said: str) -> None:
        """`number,count` and sometimes a digest of the line."""
        number, _, rest = said.partition(",")
        hits = rest.partition(",")[0].strip()
        if not hits:
            raise Refused("of a line it is not said how often it ran")
        ran = COVERED if has_run(hits) else UNCOVERED
        self.current().lines.note(number_of(number.strip(), "the number of a line"), ran)

    def branch(self, said: str) -> None:
        """`line,block,name,taken`; a block of exceptions is nothing that anybody wrote."""
        number, _, rest = said.partition(",")
        if not rest.startswith("e") and rest.rpartition(",")[2].strip() in NOT_TAKEN:
            self.current().partial.add(number_of(number.strip(), "the line of a branch"))

    def current(self) -> Record:
        self.budget.count_told()
        if self.record is None:
            raise Refused("it tells of a line before it has named a file")
        return self.record
