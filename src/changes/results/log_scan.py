"""Looks a log through for what went wrong, block by block; of many lines it keeps those that matter. Pure.

One expression of all patterns finds the few lines that may tell something, faster than they are unpacked;
only those are asked for which of them it is. So a log of 100 MB takes a fraction of a second.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from changes.results import fingerprints
from changes.results.log_patterns import (
    ALL_IS_WELL,
    BUILT_IN,
    DOUBTED,
    HARMLESS,
    IGNORED,
    OUTCOME,
    RAISED,
    Pattern,
)

LINE_MAX_BYTES = 2000
TEXT_MAX_CHARS = 500
# What a line without an end may take until it has one, and what a traceback may.
OPEN_MAX_BYTES = 64 * 1024
# Of a log with more, or with more lines that may tell something, the middle is not looked at.
HEAD_MAX_BYTES, TAIL_BYTES = 256 * 1024 * 1024, 4 * 1024 * 1024
CANDIDATES_MAX = 200_000
# So many of a rank are remembered from the beginning, and as many from the end.
REMEMBERED = 200
LINES_KEPT = 100
MEMORY_MAX_BYTES = 32 * 1024 * 1024
ENGINES_KEPT = 16
JUDGED_KEPT = 5000
NUMBERS = bytes.maketrans(b"23456789", b"1" * 8)


def byte_wise() -> Any:
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    return made


ESCAPES = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# A line that was written over again and again is as it was left. In linear time, as a line may be long.
WRITTEN_OVER: Any = re2.compile(rb"(?m)^.*\r", byte_wise())
# A command as we or a shell tell it before it runs: whatever it says has not happened yet.
COMMAND_TOLD = re.compile(rb"(?:\$|\++) ")
# What a terminal would obey, what turns the direction of writing, what takes no room.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]+"
)
# As BuildKit prints: `#9 28.14 make: *** [all] Error 1`.
IMAGE_STEP: Any = re2.compile(rb"(?m)^#\d+ \d+\.\d+ ", byte_wise())
TRACEBACK = re.compile(rb"^(?P<lead>.*?)(?:Exception Group )?Traceback \(most recent call last\):\s*$")
A_TRACEBACK = Pattern("Python", r"Traceback \(most recent call last\):\s*$", RAISED + 1)


@dataclass(frozen=True, slots=True)
class FoundLine:
    """Lines count from 1. What belongs to it begins with another line, where it is the end of a traceback."""

    line: int
    begins: int
    text: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class KeptLine:
    """`key` is what is left of it without what differs each time; `times` is how often that was seen."""

    found: FoundLine
    key: str
    times: int


@dataclass
class OfRank:
    first: list[FoundLine] = field(default_factory=list)
    last: deque[FoundLine] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, found: FoundLine) -> None:
        (self.first if len(self.first) < REMEMBERED else self.last).append(found)


class Engine:
    """The patterns of a project, compiled. Those of the project itself come before the others."""

    def __init__(self, own: tuple[Pattern, ...]) -> None:
        self._own = frozenset(own)
        self.patterns = (*own, A_TRACEBACK, *BUILT_IN)
        self._which = re2.Set.SearchSet(options())
        for pattern in self.patterns:
            self._which.Add(pattern.regex.encode())
        self._which.Compile()
        together = "|".join(f"(?:{each.regex})" for each in self.patterns)
        # To the end of the line, as one find in it is enough.
        self.any_of_them: Any = re2.compile(f"(?m)(?:{together}).*".encode(), options())
        self._is_well: Any = re2.compile("|".join(f"(?:{each})" for each in ALL_IS_WELL).encode(), options())
        self._harmless: Any = re2.compile("|".join(f"(?:{each})" for each in HARMLESS).encode(), options())

        self._judged: dict[bytes, Pattern | None] = {}

    def judge(self, line: bytes) -> Pattern | None:
        """Programs say the same again and again with other numbers; whether one is 0 may matter."""
        shape = line.translate(NUMBERS)
        if shape not in self._judged:
            if len(self._judged) >= JUDGED_KEPT:
                self._judged.clear()
            self._judged[shape] = self._told_by(line)
        return self._judged[shape]

    def _told_by(self, line: bytes) -> Pattern | None:
        """What tells most of it; None where its words mean nothing bad after all."""
        best = self._best(line)
        if best is None or best in self._own:
            return best
        if COMMAND_TOLD.match(line):
            return None
        if best.rank > DOUBTED:
            return best
        if self._is_well.search(line) is not None:
            return None
        believed = self._harmless.sub(b" ", line)
        return best if believed == line else self._best(believed)

    def _best(self, line: bytes) -> Pattern | None:
        # Where nothing fits it tells None, and no empty list.
        found: list[Pattern] = [self.patterns[place] for place in sorted(self._which.Match(line) or ())]
        if not found or any(each.rank == IGNORED for each in found):
            return None
        best = max(found, key=rank_of)
        # A tool that is known to say so knows better than the word "error" that it only follows.
        follows = [each for each in found if each.rank == OUTCOME and best.rank <= DOUBTED]
        return follows[0] if follows else best


def options() -> Any:
    """Nothing of it ever goes over the end of a line."""
    made = re2.Options()
    made.never_capture = made.never_nl = True
    made.log_errors = False
    made.max_mem = MEMORY_MAX_BYTES
    return made


@lru_cache(maxsize=ENGINES_KEPT)
def engine(own: tuple[Pattern, ...] = ()) -> Engine:
    return Engine(own)


class Scanner:
    """Takes a log from its beginning, and knows how long it is: where it is too much, its end is looked at,
    and what is before that is only counted.
    """

    def __init__(self, used: Engine, size_bytes: int) -> None:
        self._engine, self._size_bytes = used, size_bytes
        self._open = b""
        self._is_cut = False
        self._line = 1
        self._fed_bytes = self._candidates = 0
        self._by_rank: dict[int, OfRank] = {}
        self.found = self.skipped_bytes = 0

    def feed(self, data: bytes) -> None:
        self._fed_bytes += len(data)
        if self._is_too_much() and self._fed_bytes < self._size_bytes - TAIL_BYTES:
            self._count(data)
            return
        if self._is_cut:
            _, end, data = data.partition(b"\n")
            if not end:
                return
            self._is_cut = False
            data = self._open + b"\n" + data
        else:
            data = self._open + data
        whole, end, self._open = data.rpartition(b"\n")
        if end:
            self._open = self._look(whole + end, is_end=False) + self._open
        if len(self._open) > OPEN_MAX_BYTES:
            self._shorten()

    def _is_too_much(self) -> bool:
        return self._candidates > CANDIDATES_MAX or self._fed_bytes > HEAD_MAX_BYTES

    def _count(self, data: bytes) -> None:
        if self._open:
            self.finish()
            # The end of that line is still to come.
            self._line -= 1
        self._line += data.count(b"\n")
        self.skipped_bytes += len(data)

    def finish(self) -> None:
        if self._open:
            self._look(self._open + b"\n", is_end=True)
        self._open, self._is_cut = b"", False

    def _shorten(self) -> None:
        """A traceback without an end is looked at as far as it goes; of a line, its beginning is enough."""
        whole, end, rest = self._open.rpartition(b"\n")
        if end:
            self._look(whole + end, is_end=True)
        self._open, self._is_cut = rest[:LINE_MAX_BYTES], len(rest) > LINE_MAX_BYTES

    def _look(self, raw: bytes, *, is_end: bool) -> bytes:
        """Whole lines. Returns those from the beginning of a traceback on, of which the end is not there."""
        block = without_image_steps(plain(raw))
        place = counted = 0
        for match in self._engine.any_of_them.finditer(block):
            start = block.rfind(b"\n", 0, match.start()) + 1
            if start < place:
                continue
            # What is found ends before the line does where a byte follows that is no text.
            end = block.find(b"\n", match.end())
            self._candidates += 1
            self._line += block.count(b"\n", counted, start)
            counted = start
            line = block[start : min(end, start + LINE_MAX_BYTES)]
            header = TRACEBACK.match(line)
            telling = traceback_end(block, end + 1, len(header["lead"])) if header else None
            if header and telling is None and not is_end and len(block) - start < OPEN_MAX_BYTES:
                return block[start:]
            if telling is not None:
                begins, (start, end) = self._line, telling
                self._line += block.count(b"\n", counted, start)
                counted = start
                self._add(block[start:end][len(header["lead"]) if header else 0 :], begins, A_TRACEBACK)
            else:
                self._add(line, self._line, self._engine.judge(line))
            place = end + 1
        self._line += block.count(b"\n", counted)
        return b""

    def _add(self, line: bytes, begins: int, pattern: Pattern | None) -> None:
        if pattern is None:
            return
        self.found += 1
        found = FoundLine(self._line, begins, text_of(line), pattern)
        self._by_rank.setdefault(pattern.rank, OfRank()).add(found)

    def kept(self) -> list[KeptLine]:
        """Of those that are alike the first, in the order of the log."""
        alike: dict[str, list[FoundLine]] = {}
        for of_rank in self._by_rank.values():
            for found in (*of_rank.first, *of_rank.last):
                alike.setdefault(fingerprints.normalised(found.text), []).append(found)
        kept = [KeptLine(min(lines, key=at), key, len(lines)) for key, lines in alike.items()]
        best = sorted(kept, key=lambda each: (-each.found.pattern.rank, from_ends(each.found, self._line)))
        return sorted(best[:LINES_KEPT], key=lambda each: each.found.line)


def rank_of(pattern: Pattern) -> int:
    return pattern.rank


def at(found: FoundLine) -> int:
    return found.line


def from_ends(found: FoundLine, last: int) -> int:
    """What is near the beginning or near the end says more than what is between."""
    return min(found.line, max(0, last - found.line))


def plain(block: bytes) -> bytes:
    """As many lines, without colours, and each as it was left in the end."""
    if b"\x1b" in block:
        block = ESCAPES.sub(b"", block)
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"\r" in block:
        block = WRITTEN_OVER.sub(b"", block)
    return block


def without_image_steps(block: bytes) -> bytes:
    """What is printed while an image is built stands behind the number of its step, and seconds."""
    return IMAGE_STEP.sub(b"", block) if IMAGE_STEP.search(block) else block


def traceback_end(block: bytes, place: int, lead: int) -> tuple[int, int] | None:
    """Where the line stands that tells what was raised: the first at the margin below the frames."""
    while (end := block.find(b"\n", place)) >= 0:
        said = block[place + lead : min(end, place + lead + LINE_MAX_BYTES)]
        if said.strip() and not said[:1].isspace():
            return place, end
        place = end + 1
    return None


def text_of(line: bytes) -> str:
    """Fit to be told anywhere, in titles and terminals too: all of it is seen, and it is not endless."""
    text = UNSEEN.sub("\N{REPLACEMENT CHARACTER}", line.decode("utf-8", "replace").strip())
    return text if len(text) <= TEXT_MAX_CHARS else f"{text[: TEXT_MAX_CHARS - 1]}…"


def scan(blocks: Sequence[bytes], own: tuple[Pattern, ...] = ()) -> list[KeptLine]:
    """For a log that is at hand as a whole."""
    scanner = Scanner(engine(own), sum(map(len, blocks)))
    for block in blocks:
        scanner.feed(block)
    scanner.finish()
    return scanner.kept()
