"""What a file at the top of the repository becomes by a patch, without a checkout. Pure.

Only the part of the patch that is about this file is read, and only text: what `git diff` and
`hg diff` write, and plain unified diffs with or without the prefixes `a/` and `b/`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from changes.base.errors import Invalid

NOWHERE = "/dev/null"
HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
# Beginnings of the diff of the next file.
BEGINS = (b"diff --git ", b"diff -r ", b"Index: ")
NO_NEWLINE = b"\\"
# What is more is no change of a file that people write.
PARTS_MAX, LINES_MAX = 1000, 100_000
# How far from its place a part of the patch is looked for.
AROUND_LINES = 1000


@dataclass
class Hunk:
    first_line: int
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    # The sides that got the newest line.
    last_added: list[list[bytes]] = field(default_factory=list)


class Pushable:
    """Lines of which one may be put back."""

    def __init__(self, data: bytes) -> None:
        # Read one by one: a patch of many short lines would be many times as large as a list.
        self.left = BytesIO(data)
        self.pushed: list[bytes] = []

    def next(self) -> bytes | None:
        return self.pushed.pop() if self.pushed else next(self.left, None)

    def push(self, line: bytes) -> None:
        self.pushed.append(line)


@dataclass
class FileDiff:
    """One side is None where the file was not there."""

    before: str | None
    after: str | None
    hunks: list[Hunk] = field(default_factory=list)
    is_binary: bool = False
    has_content: bool = False


def touches(diff: bytes, name: str) -> bool:
    return name.encode() in diff and any(name in (each.before, each.after) for each in files(diff, name))


def applied(text: str, diff: bytes, name: str) -> str:
    """The text of the file with the patch on top; empty where it was removed. Raises Invalid in words."""
    if name.encode() not in diff:
        return text
    for each in files(diff, name):
        if name not in (each.before, each.after):
            continue
        if each.after != name:
            return "" if each.before == name and is_gone(each) else text
        if each.is_binary:
            raise Invalid(f"The patch makes {name} a binary file.")
        if each.before not in (None, name):
            raise Invalid(f"The patch makes {name} of {each.before}; give it as a file of its own.")
        text = patched("" if each.before is None else text, each, name)
    return text


def is_gone(diff: FileDiff) -> bool:
    """Removed, or called otherwise now."""
    return diff.after is None or diff.before != diff.after


def patched(text: str, diff: FileDiff, name: str) -> str:
    if len(diff.hunks) > PARTS_MAX:
        raise Invalid(f"The patch changes {name} in more than {PARTS_MAX} places.")
    lines = BytesIO(text.encode()).readlines()
    shift = 0
    for number, hunk in enumerate(diff.hunks, start=1):
        at = place_of(lines, hunk, shift)
        if at is None:
            raise Invalid(f"The patch does not apply to {name}: its part {number} fits nowhere.")
        lines[at : at + len(hunk.old)] = hunk.new
        shift = at + len(hunk.new) - len(hunk.old) - max(hunk.first_line - 1, 0)
    return b"".join(lines).decode("utf-8", "replace")


def place_of(lines: list[bytes], hunk: Hunk, shift: int) -> int | None:
    """Where it says, else the nearest place at which these lines stand."""
    said = max(hunk.first_line - 1, 0) + shift
    if not hunk.old:
        return min(max(hunk.first_line + shift, 0), len(lines))
    places = range(max(said - AROUND_LINES, 0), min(said + AROUND_LINES, len(lines) - len(hunk.old)) + 1)
    for at in sorted(places, key=lambda at: abs(at - said)):
        if lines[at] == hunk.old[0] and lines[at : at + len(hunk.old)] == hunk.old:
            return at
    return None


def files(diff: bytes, name: str) -> Iterator[FileDiff]:
    """All of them; of those that are not called so, no content is kept."""
    current: FileDiff | None = None
    lines = Pushable(diff)
    while (line := lines.next()) is not None:
        if line.startswith(BEGINS):
            if current is not None:
                yield current
            current = FileDiff(*names_of(line)) if line.startswith(b"diff --git ") else None
        elif line.startswith(b"--- "):
            after = lines.next() or b""
            if current is None or current.has_content:
                if current is not None:
                    yield current
                current = FileDiff(None, None)
            current.before, current.after = name_in(line[4:]), name_in(after[4:])
        elif current is not None:
            read_line(current, line, lines, name)
    if current is not None:
        yield current


def read_line(current: FileDiff, line: bytes, lines: Pushable, name: str) -> None:
    match = HUNK.match(line)
    if match:
        begins, old, _, new = match.groups()
        is_kept = name in (current.before, current.after)
        hunk = read_hunk(int(begins), (int(old or 1), int(new or 1)), lines, is_kept=is_kept)
        current.has_content = True
        if is_kept:
            current.hunks.append(hunk)
    elif line.startswith(b"deleted file mode"):
        current.after = None
    elif line.startswith(b"new file mode"):
        current.before = None
    elif line.startswith((b"rename from ", b"copy from ")):
        current.before = name_in(line.split(b" from ", 1)[1], prefix=False)
    elif line.startswith((b"rename to ", b"copy to ")):
        current.after = name_in(line.split(b" to ", 1)[1], prefix=False)
    elif line.startswith((b"GIT binary patch", b"Binary files ")):
        current.is_binary = True


def read_hunk(first_line: int, counts: tuple[int, int], lines: Pushable, *, is_kept: bool) -> Hunk:
    if is_kept and sum(counts) > LINES_MAX:
        raise Invalid(f"A part of the patch has more than {LINES_MAX} lines.")
    hunk, (old_left, new_left) = Hunk(first_line), counts
    while old_left > 0 or new_left > 0:
        line = lines.next()
        if line is None:
            return hunk
        kind = line[:1]
        old_left -= kind not in (b"+", NO_NEWLINE)
        new_left -= kind not in (b"-", NO_NEWLINE)
        if is_kept:
            add_line(hunk, line)
    # What stands behind it may say that its last line has no end.
    behind = lines.next()
    if behind is not None and behind.startswith(NO_NEWLINE):
        add_line(hunk, behind)
    elif behind is not None:
        lines.push(behind)
    return hunk


def add_line(hunk: Hunk, line: bytes) -> None:
    kind, content = line[:1], line[1:]
    if kind == NO_NEWLINE:
        for side in hunk.last_added:
            side[-1] = side[-1].rstrip(b"\r\n")
        return
    # Mail programs take the blank away from an empty line.
    sides = {b"-": [hunk.old], b"+": [hunk.new]}.get(kind, [hunk.old, hunk.new])
    for side in sides:
        side.append(content if kind in (b"-", b"+", b" ") else line)
    hunk.last_added = sides


def names_of(line: bytes) -> tuple[str | None, str | None]:
    """Of `diff --git a/x b/x`: until lines below say more."""
    text = line[len(b"diff --git ") :].rstrip(b"\r\n")
    half = len(text) // 2
    before, after = name_in(text[:half]), name_in(text[half + 1 :])
    return (before, after) if before == after else (None, None)


def name_in(text: bytes, *, prefix: bool = True) -> str | None:
    name = text.split(b"\t", 1)[0].rstrip(b"\r\n").strip(b'"').decode("utf-8", "replace")
    if name == NOWHERE:
        return None
    return name[2:] if prefix and name.startswith(("a/", "b/")) else name
