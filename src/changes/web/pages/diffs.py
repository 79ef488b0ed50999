"""A unified diff as rows to draw. Pure; what is not understood is shown as it came."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
FILE_START = re.compile(r"diff (?:--git a/.* b/|-r .* )(?P<path>.*)")
NO_FILE = "/dev/null"


@dataclass(frozen=True)
class Line:
    """`kind` is added, removed, same, hunk or note; the numbers are those of the two files."""

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass
class FileDiff:
    path: str
    lines: list[Line] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)


@dataclass
class Counters:
    """Numbers of the next lines, and how many lines the hunk still owes on each side."""

    old: int = 0
    new: int = 0
    old_left: int = 0
    new_left: int = 0

    @property
    def inside(self) -> bool:
        return self.old_left > 0 or self.new_left > 0


def parse(text: str) -> list[FileDiff]:
    files: list[FileDiff] = []
    at = Counters()
    for raw in text.splitlines():
        if at.inside and files:
            files[-1].lines.extend(hunk_line(raw, at))
        elif opens_file(raw, files):
            files.append(FileDiff(path_in(raw)))
        elif files:
            files[-1].lines.extend(head_line(raw, files[-1], at))
    return files


def first_lines(files: list[FileDiff], most: int) -> tuple[list[FileDiff], int]:
    """As many files and lines as a page holds, and how many lines are left out."""
    shown, room = [], most
    total = sum(len(file.lines) for file in files)
    for file in files:
        if room <= 0:
            break
        shown.append(FileDiff(file.path, file.lines[:room]))
        room -= len(file.lines)
    return shown, max(0, total - most)


def opens_file(raw: str, files: list[FileDiff]) -> bool:
    """By its `diff` line, or by `---` where a tool wrote none or the file before had its say."""
    if FILE_START.match(raw):
        return True
    return raw.startswith("--- ") and (not files or bool(files[-1].lines))


def path_in(raw: str) -> str:
    match = FILE_START.match(raw)
    return match["path"] if match else bare(raw)


def bare(raw: str) -> str:
    name = raw[4:].partition("\t")[0]
    return name.removeprefix("a/").removeprefix("b/") if name != NO_FILE else ""


def head_line(raw: str, file: FileDiff, at: Counters) -> Iterator[Line]:
    """Between files and hunks. Renames and modes are told; the two name lines are not repeated."""
    hunk = HUNK.match(raw)
    if hunk:
        at.old, at.new = int(hunk[1]), int(hunk[3])
        at.old_left, at.new_left = int(hunk[2] or 1), int(hunk[4] or 1)
        yield Line("hunk", raw)
    elif raw.startswith("+++ "):
        file.path = bare(raw) or file.path
    elif raw and not raw.startswith(("--- ", "index ")):
        yield Line("note", raw)


def hunk_line(raw: str, at: Counters) -> Iterator[Line]:
    sign, text = raw[:1], raw[1:]
    if sign == "\\":
        yield Line("note", raw)
    elif sign == "+":
        yield Line("added", text, new=at.new)
        at.new, at.new_left = at.new + 1, at.new_left - 1
    elif sign == "-":
        yield Line("removed", text, old=at.old)
        at.old, at.old_left = at.old + 1, at.old_left - 1
    else:
        yield Line("same", text, at.old, at.new)
        at.old, at.new = at.old + 1, at.new + 1
        at.old_left, at.new_left = at.old_left - 1, at.new_left - 1
