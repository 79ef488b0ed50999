"""Parts of a log that can be folded: commands of the step, and what programs mark for other systems. Pure.

`::group::` and `##[group]` of GitHub and Azure, `---`, `+++` and `~~~` of Buildkite, `section_start` of
GitLab, `travis_fold` of Travis. Without the script they are headings; with it they can be closed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

TITLE_CHARACTERS = 200
DEPTH_MAX = 6
# What stands behind the last group may be the end of a command, and how it went.
END_LINES = 10
COMMAND = "$ "
# Lines that this module wants to see begin like this; said for engines that need no exponential time.
MARKED = (
    r"^(?:\x1b\[[0-9;]*[A-Za-z]|\r)*"
    r"(?:::group::|::endgroup::|##\[group\]|##\[endgroup\]|section_(?:start|end):|travis_fold:(?:start|end):"
    r"|(?:---|\+\+\+|~~~) \S|\^\^\^ \+\+\+)"
)
BEGINNING = re.compile(r"(?:\x1b\[[0-9;]*[A-Za-z]|\r)*")
BRACKETED = re.compile(r"(?:::|##\[)(end)?group(?:::|\])\s*(.*)")
KEYED = re.compile(
    r"(?:section_(start|end):\d{1,15}|travis_fold:(start|end)):([\w.-]{1,200})(\[[^\]]{0,200}\])?"
    r"(?:\r|\x1b\[[0-9]*K|\s)*(.*)"
)
HEADED = re.compile(r"(---|\+\+\+|~~~|\^\^\^) +(\S.*)")
# What begins like a heading and is none: the names of a diff, what Go says of a test.
NO_HEADING = re.compile(r"[ab]/|/dev/null|\S*\t|(?:PASS|FAIL|SKIP|BENCH): |\S+ \d{4}-\d\d-\d\d ")
OLD_FILE, NEW_FILE, MUTED, REOPENS = "---", "+++", "~~~", "^^^"
GROUP_KEY = "group"


class Kind(Enum):
    COMMAND = "command"
    HEADING = "heading"
    BEGIN = "begin"
    END = "end"
    REOPEN = "reopen"


@dataclass(frozen=True)
class Mark:
    """What a line says of groups. `title` still has its colours; `key` tells what an end is the end of."""

    line: int
    kind: Kind
    title: str = ""
    key: str = ""
    is_closed: bool = False


@dataclass(frozen=True)
class Group:
    """From its heading to its last line, both included. `is_closed` is how it is shown at first."""

    first: int
    last: int
    depth: int
    title: str
    is_closed: bool = False


# --- lines -------------------------------------------------------------------------------------------


def marks(lines: Iterable[tuple[int, str]], commands: Collection[str] = ()) -> Iterator[Mark]:
    """Of some lines with their numbers. `commands` are the titles of what the step was told to run."""
    waiting: Mark | None = None
    for line, raw in lines:
        found = mark_of(line, raw, commands)
        # The names of the old and the new file of a diff follow each other.
        if waiting and found and found.key == NEW_FILE and found.line == waiting.line + 1:
            waiting = None
            continue
        if waiting:
            yield waiting
            waiting = None
        if found and found.key == OLD_FILE:
            waiting = found
        elif found:
            yield found
    if waiting:
        yield waiting


def mark_of(line: int, raw: str, commands: Collection[str] = ()) -> Mark | None:
    start = raw[BEGINNING.match(raw).end() :] if raw[:1] in "\x1b\r" else raw  # type: ignore[union-attr]
    if start.startswith(COMMAND):
        is_told = start[len(COMMAND) :].rstrip() in commands
        return Mark(line, Kind.COMMAND, start.rstrip()) if is_told else None
    if start.startswith(("::", "##[")):
        return bracketed(line, start)
    if start.startswith(("section_", "travis_fold:")):
        return keyed(line, start)
    return headed(line, start) if start[:3] in {OLD_FILE, NEW_FILE, MUTED, REOPENS} else None


def bracketed(line: int, start: str) -> Mark | None:
    found = BRACKETED.match(start)
    if found is None:
        return None
    if found[1]:
        return Mark(line, Kind.END, key=GROUP_KEY)
    return Mark(line, Kind.BEGIN, found[2].strip() or "Group", GROUP_KEY, is_closed=True)


def keyed(line: int, start: str) -> Mark | None:
    found = KEYED.match(start)
    if found is None:
        return None
    if "end" in found.groups()[:2]:
        return Mark(line, Kind.END, key=found[3])
    is_closed = found[2] is not None or "collapsed=true" in (found[4] or "")
    return Mark(line, Kind.BEGIN, found[5].strip() or found[3], found[3], is_closed)


def headed(line: int, start: str) -> Mark | None:
    found = HEADED.match(start)
    if found is None or NO_HEADING.match(found[2]):
        return None
    if found[1] == REOPENS:
        return Mark(line, Kind.REOPEN) if found[2].strip() == NEW_FILE else None
    return Mark(line, Kind.HEADING, found[2].strip(), found[1], is_closed=found[1] == MUTED)


# --- the whole log -----------------------------------------------------------------------------------


def groups(found: Sequence[Mark], last_line: int) -> list[Group]:
    """In the order of their headings. What never ends goes on to the last line, and is open."""
    folding = Folding()
    has_commands = sum(mark.kind is Kind.COMMAND for mark in found) > 1
    for mark in found:
        if mark.kind is not Kind.COMMAND or has_commands:
            folding.add(mark)
    folding.end(last_line)
    return sorted((each for each in folding.done if each.last > each.first), key=lambda each: each.first)


def with_end_open(found: Sequence[Group], last_line: int) -> list[Group]:
    """Of what did not go well the end is to be seen, however tidy the program was."""
    ends_from = last_line - END_LINES
    return [replace(each, is_closed=False) if each.last >= ends_from else each for each in found]


@dataclass
class Folding:
    """Goes through the marks of a log with a stack of what is open."""

    open: list[Mark] = field(default_factory=list)
    done: list[Group] = field(default_factory=list)

    def add(self, mark: Mark) -> None:
        if mark.kind is Kind.COMMAND:
            self.close_from(0, mark.line - 1)
        elif mark.kind is Kind.HEADING:
            self.close_heading(mark.line - 1)
        elif mark.kind is Kind.REOPEN:
            self.reopen()
        elif mark.kind is Kind.END:
            self.close_key(mark)
        if mark.kind in {Kind.COMMAND, Kind.HEADING, Kind.BEGIN} and len(self.open) < DEPTH_MAX:
            self.open.append(mark)

    def end(self, last_line: int) -> None:
        self.open = [
            each if each.kind is Kind.HEADING else replace(each, is_closed=False) for each in self.open
        ]
        self.close_from(0, last_line)

    def close_heading(self, last: int) -> None:
        """The one that the next heading ends is not outside of what begins and ends by itself."""
        if self.open and self.open[-1].kind is Kind.HEADING:
            self.close_from(len(self.open) - 1, last)

    def close_key(self, end: Mark) -> None:
        fitting = [at for at, each in enumerate(self.open) if each.kind is Kind.BEGIN and each.key == end.key]
        if fitting:
            self.close_from(fitting[-1] + 1, end.line - 1)
            self.close_from(fitting[-1], end.line)

    def reopen(self) -> None:
        """What failed in it is to be seen, so whatever it is in is open, too."""
        self.open = [replace(each, is_closed=False) for each in self.open]

    def close_from(self, at: int, last: int) -> None:
        while len(self.open) > at:
            mark = self.open.pop()
            self.done.append(
                Group(mark.line, last, len(self.open), mark.title[:TITLE_CHARACTERS], mark.is_closed)
            )
