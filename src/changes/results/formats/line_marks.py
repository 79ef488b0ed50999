"""Which lines of one file ran: as sets of bits, so that putting two together costs next to nothing. Pure.

To put together is to take what is in either, so neither order nor repetition matters: a line that ran in
one of them has run, one that could run in one of them could.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from changes.results.formats.excerpt import clip_name
from changes.results.formats.seen import Refused, storable

# What a line is while its file is read: where it stands several times, the highest counts.
NOTHING, UNCOVERED, PARTIAL, COVERED = range(4)
# As the original said it: no code, code that did not run, code that did.
CODES = "NUC"
_OF_EXECUTABLE = bytes.maketrans(bytes(range(4)), b"0111")
_OF_PARTIAL = bytes.maketrans(bytes(range(4)), b"0010")
_OF_COVERED = bytes.maketrans(bytes(range(4)), b"0001")
# Two digits as text, added: neither, the first alone, both.
_OF_SUM = bytes.maketrans(bytes([0x60, 0x61, 0x62]), CODES.encode())
# Made once: a report may have a million blocks.
_AT_LEAST = [bytes(max(each, state) for each in range(256)) for state in range(4)]
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NUMBER = re.compile("[0-9]{1,9}")
# Nothing is tried twice, so that a megabyte of noughts costs no more than its length.
_COUNT = re.compile(r"\s*+(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)\s*+")
_FIRST_ROOM = 256


@dataclass(frozen=True)
class CoverageLimits:
    """How much of a report is kept."""

    files: int = 200_000
    # The highest number of a line.
    lines: int = 1_000_000
    name_chars: int = 1000
    # Of all files together, and each of them again wherever it comes again.
    all_lines: int = 300_000_000
    # How often a line may be told of, be it the same one.
    told_lines: int = 200_000_000


DEFAULT_LIMITS = CoverageLimits()


@dataclass(frozen=True, slots=True)
class Marks:
    """The lowest bit is the first line. What ran could run; what ran only partly did not run."""

    executable: int = 0
    covered: int = 0
    # Of those that did not run: they did, but not every branch that leaves them was taken.
    partial: int = 0

    def __or__(self, other: "Marks") -> "Marks":
        covered = self.covered | other.covered
        return Marks(self.executable | other.executable, covered, (self.partial | other.partial) & ~covered)

    @property
    def lines_covered(self) -> int:
        return self.covered.bit_count()

    @property
    def lines_uncovered(self) -> int:
        return self.executable.bit_count() - self.covered.bit_count()

    @property
    def line_count(self) -> int:
        """Up to the last line that could run."""
        return self.executable.bit_length()

    @property
    def uncovered(self) -> int:
        return self.executable & ~self.covered

    def within(self, lines: int) -> "Marks":
        """Of these lines alone."""
        return Marks(self.executable & lines, self.covered & lines, self.partial & lines)

    def codes(self) -> str:
        """A letter for each line."""
        width = self.line_count
        return codes_of(_digits(self.executable, width), _digits(self.covered, width))

    def state(self, line: int) -> int:
        bit = 1 << (line - 1)
        if self.covered & bit:
            return COVERED
        if self.partial & bit:
            return PARTIAL
        return UNCOVERED if self.executable & bit else NOTHING


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file, or a part of one, as a report has it: its name there, and below which folders that may be."""

    name: str
    marks: Marks
    roots: tuple[str, ...] = ()


class Budget:
    """What one report has cost so far; who asks too much is refused."""

    def __init__(self, limits: CoverageLimits) -> None:
        self.limits = limits
        self.files = self.told_lines = self.all_lines = 0

    def count_file(self) -> None:
        self.files += 1
        if self.files > self.limits.files:
            raise Refused(f"it tells of more than {self.limits.files} files")

    def count_told(self, lines: int = 1) -> None:
        self.told_lines += lines
        if self.told_lines > self.limits.told_lines:
            raise Refused(f"it tells of more than {self.limits.told_lines} lines")

    def make_room(self, lines: int) -> None:
        self.all_lines += lines
        if self.all_lines > self.limits.all_lines:
            raise Refused(f"its files have more than {self.limits.all_lines} lines together")


class LineStates:
    """The lines of one file while it is read."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        budget.make_room(_FIRST_ROOM)
        self.states = bytearray(_FIRST_ROOM)

    def note(self, line: int, state: int) -> None:
        """Of what is told several times the highest counts. There is no line 0, though tools may have one."""
        states = self.states
        if line >= len(states):
            self.grow(line)
        states[line] = max(states[line], state)

    def note_block(self, first: int, last: int, state: int) -> None:
        """Many lines at once, whose number is somebody else's."""
        if last >= len(self.states):
            self.grow(last)
        told = self.states[first : last + 1]
        self.states[first : last + 1] = told.translate(_AT_LEAST[state])

    def grow(self, line: int) -> None:
        lines_max = self.budget.limits.lines
        if line > lines_max:
            raise Refused(f"it tells of line {line}; more than {lines_max} are not read")
        missing = max(line + 1, min(2 * len(self.states), lines_max + 1)) - len(self.states)
        self.budget.make_room(missing)
        self.states.extend(bytes(missing))

    def marks(self) -> Marks:
        # Backwards, as the last digit of a number is its lowest bit; line 0 is left out.
        backwards = bytes(self.states[:0:-1])
        numbers = (int(backwards.translate(each), 2) for each in (_OF_EXECUTABLE, _OF_COVERED, _OF_PARTIAL))
        return Marks(*numbers)


def number_of(text: str | None, what: str) -> int:
    try:
        return whole_number(text or "")
    except ValueError:
        problem = f"no number: {text[:40]!r}" if text else "missing"
        raise Refused(f"{what} is {problem}") from None


# The same few thousand stand in every file.
@lru_cache(maxsize=16384)
def whole_number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def has_run(hits: str | None) -> bool:
    """Counts may be too large for any number, written as 0.0, and by faults of tools below zero or NaN."""
    if not hits or hits == "0":
        return False
    return hits[0] in "123456789" or (_COUNT.fullmatch(hits) is not None and hits.strip("0.") != "")


def name_of(name: str, limits: CoverageLimits) -> str:
    return clip_name(storable(name), limits.name_chars)


def bits_of(lines: Collection[int]) -> int:
    """Digit by digit, as adding one bit after the other would copy all of them each time."""
    digits = bytearray(b"0") * max(lines, default=0)
    for line in lines:
        digits[-line] = ord("1")
    return int(digits, 2) if digits else 0


def lines_in(bits: int) -> list[int]:
    return [place + 1 for place, digit in enumerate(reversed(f"{bits:b}")) if digit == "1"]


# --- as the database keeps them: the first bit of the first byte is the first line ---------------------


def packed(bits: int, line_count: int) -> bytes:
    return bits.to_bytes((line_count + 7) // 8, "little").translate(_REVERSED)


def codes_of(executable: str, covered: str) -> str:
    """A letter for each line; of digits, which are added as if both were one number."""
    added = sum(int.from_bytes(each.encode(), "big") for each in (executable, covered))
    return added.to_bytes(len(executable), "big").translate(_OF_SUM).decode()


def unpacked(text: str | None) -> int:
    """Of digits, the first of which is the first line."""
    return int(text[::-1], 2) if text else 0


def _digits(bits: int, width: int) -> str:
    return f"{bits:0{width}b}"[::-1] if width else ""
