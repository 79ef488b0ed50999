"""Unified and git diffs, read; pure. What is not understood is kept as it came, nothing is executed.

Lines end with a newline and with nothing else: a carriage return, or one of the other characters that
Unicode calls the end of a line, belongs to the line.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import NamedTuple

HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
FILE_START = re.compile(r'diff (?:--git "?a/.* "?b/|-r .* )(?P<path>.*)')
NO_FILE = "/dev/null"
NOT_TOLD = ("--- ", "index ")
RENAMED = ("rename from ", "copy from ")
QUOTED = re.compile(r"\\([0-7]{3}|.)")
UNQUOTED = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "v": b"\v", "f": b"\f"}
BINARY = ("GIT binary patch", "Binary files ")
SPACE = re.compile(r"\s+")


class Line(NamedTuple):
    """`kind` is added, removed, same, hunk or note; the numbers are those of the two files.

    A tuple, because a diff may have a million of them.
    """

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass
class FileDiff:
    """`path` is where the file is afterwards, or was if it is gone; `old_path` where it came from."""

    path: str
    lines: list[Line] = field(default_factory=list)
    old_path: str = ""
    is_new: bool = False
    is_gone: bool = False
    is_binary: bool = False
    # Of what a binary file becomes; the bytes themselves are not kept here.
    content_digest: str = ""

    @property
    def added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)

    @property
    def is_renamed(self) -> bool:
        return bool(self.old_path) and self.old_path != self.path


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


@dataclass(frozen=True)
class Figures:
    """How much a diff changes; a fingerprint is equal for the same lines at another place."""

    files: int
    added: int
    removed: int
    fingerprint: str


def text_of(diff: bytes) -> str:
    return diff.decode("utf-8", "replace")


def parse(text: str) -> list[FileDiff]:
    files: list[FileDiff] = []
    at = Counters()
    for raw in text.split("\n"):
        if at.inside and files:
            files[-1].lines.append(hunk_line(raw, at))
        elif opens_file(raw, files):
            files.append(opened(raw))
        elif files:
            head_line(raw, files[-1], at)
    return files


def opens_file(raw: str, files: list[FileDiff]) -> bool:
    """By its `diff` line, or by `---` where a tool wrote none or the file before had its say."""
    if raw.startswith("diff ") and FILE_START.match(raw):
        return True
    return raw.startswith("--- ") and (not files or any(line.kind == "hunk" for line in files[-1].lines))


def opened(raw: str) -> FileDiff:
    match = FILE_START.match(raw)
    if match is None:
        old = bare(raw)
        return FileDiff(old, old_path=old, is_new=not old)
    path = match["path"]
    if path.endswith('"'):
        path = unquoted(path[:-1])
    return FileDiff(path)


def bare(raw: str) -> str:
    """The name after `--- ` or `+++ `, without what tools put around it; empty for no file."""
    name = raw[4:].partition("\t")[0].rstrip("\r")
    if name == NO_FILE:
        return ""
    name = plain_name(name)
    return name[2:] if name.startswith(("a/", "b/")) else name


def plain_name(name: str) -> str:
    is_quoted = name.startswith('"') and name.endswith('"') and len(name) > 1
    return unquoted(name[1:-1]) if is_quoted else name


def unquoted(name: str) -> str:
    """As git quotes the bytes of names that are not plain."""
    out, end = b"", 0
    for found in QUOTED.finditer(name):
        out += name[end : found.start()].encode()
        out += escaped_byte(found[1])
        end = found.end()
    return (out + name[end:].encode()).decode("utf-8", "replace")


def escaped_byte(code: str) -> bytes:
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF])
    return UNQUOTED.get(code, code.encode())


def head_line(raw: str, file: FileDiff, at: Counters) -> None:
    """Between files and hunks. Renames and modes are told; the two name lines are not repeated."""
    hunk = HUNK.match(raw)
    if hunk:
        at.old, at.new = int(hunk[1]), int(hunk[3])
        at.old_left, at.new_left = int(hunk[2] or 1), int(hunk[4] or 1)
        file.lines.append(Line("hunk", raw))
    elif raw.startswith("+++ "):
        note_new_name(raw, file)
    elif raw.startswith("--- "):
        file.old_path = bare(raw)
        file.is_new = file.is_new or not file.old_path
    elif raw.startswith(BINARY):
        file.is_binary = True
        file.lines.append(Line("note", raw))
    elif file.is_binary:
        file.content_digest = digest_of(file.content_digest + raw)
    elif raw and not raw.startswith(NOT_TOLD):
        note(raw, file)


def note_new_name(raw: str, file: FileDiff) -> None:
    path = bare(raw)
    if path:
        file.path = path
    else:
        file.is_gone = True


def note(raw: str, file: FileDiff) -> None:
    if raw.startswith(RENAMED):
        file.old_path = plain_name(raw.partition(" from ")[2])
    file.is_new = file.is_new or raw.startswith("new file mode")
    file.is_gone = file.is_gone or raw.startswith("deleted file mode")
    file.lines.append(Line("note", raw))


def hunk_line(raw: str, at: Counters) -> Line:
    sign, text = raw[:1], raw[1:]
    if sign == "\\":
        return Line("note", raw)
    if sign == "+":
        at.new, at.new_left = at.new + 1, at.new_left - 1
        return Line("added", text, new=at.new - 1)
    if sign == "-":
        at.old, at.old_left = at.old + 1, at.old_left - 1
        return Line("removed", text, old=at.old - 1)
    at.old, at.new = at.old + 1, at.new + 1
    at.old_left, at.new_left = at.old_left - 1, at.new_left - 1
    return Line("same", text, at.old - 1, at.new - 1)


# --- what it comes to ---------------------------------------------------------------------


def figures(diff: bytes) -> Figures:
    files = parse(text_of(diff))
    return Figures(
        files=len(files),
        added=sum(file.added for file in files),
        removed=sum(file.removed for file in files),
        fingerprint=fingerprint(files),
    )


def fingerprint(files: list[FileDiff]) -> str:
    """By what is added and removed in which file. Numbers of lines, what stands around, the order of the
    files and white space do not count, so a commit has that of the patch it came from. Empty if nothing is.
    """
    digests = sorted(filter(None, map(fingerprint_of_file, files)))
    return digest_of("".join(digests)) if digests else ""


def fingerprint_of_file(file: FileDiff) -> str:
    counts = [f"{line.kind[0]}{SPACE.sub('', line.text)}" for line in file.lines if is_changed(line)]
    if not counts and not file.is_binary and not file.is_renamed:
        return ""
    return digest_of("\n".join([file.path, file.content_digest, *counts]))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_changed(line: Line) -> bool:
    return line.kind in ("added", "removed") and not line.text.isspace() and bool(line.text)


def changed_files(files: list[FileDiff]) -> set[str]:
    """Both names of what was renamed."""
    return {name for file in files for name in (file.path, file.old_path) if name}


def added_lines(files: list[FileDiff]) -> dict[str, set[int]]:
    """By file, the numbers that added lines have afterwards."""
    return {
        file.path: {line.new for line in file.lines if line.kind == "added" and line.new is not None}
        for file in files
    }
