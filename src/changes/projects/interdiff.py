"""What a later version of a patch does differently from an earlier one; pure.

Neither needs its base: the lines that both touch are compared. What only stands around a change is
shown where it helps, and is never taken for a change.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher

from changes.projects.diffs import FileDiff, Line

# Of one file in one version; more is told of by a word, as comparing costs the square of it.
LINES_MAX = 5000
LINES_AROUND = 3
COMPARED = ("added", "removed", "same")
TOO_LONG = "This file is too long to compare line by line; look at the two versions."
GONE = "The later version leaves this file as it is."
NEW = "Only the later version touches this file."
Token = tuple[str, str]
# A line only the earlier version has: what it added is gone again, what it removed is back.
UNDONE = {"added": "removed", "removed": "added"}


def between(earlier: list[FileDiff], later: list[FileDiff]) -> list[FileDiff]:
    """Files of which the versions differ, in the order of the later one."""
    before, after = {file.path: file for file in earlier}, {file.path: file for file in later}
    paths = [*after, *(path for path in before if path not in after)]
    return [file for path in paths if (file := of_file(path, before.get(path), after.get(path)))]


def of_file(path: str, before: FileDiff | None, after: FileDiff | None) -> FileDiff | None:
    old, new = tokens(before), tokens(after)
    if old == new and content_of(before) == content_of(after):
        return None
    if max(len(old), len(new)) > LINES_MAX:
        return FileDiff(path, [Line("note", TOO_LONG)])
    said = [Line("note", GONE)] if after is None else [Line("note", NEW)] if before is None else []
    return FileDiff(path, [*said, *differing(old, new)])


def tokens(file: FileDiff | None) -> list[Token]:
    return [(line.kind, line.text) for line in file.lines if line.kind in COMPARED] if file else []


def content_of(file: FileDiff | None) -> str:
    return file.content_digest if file else ""


def differing(old: list[Token], new: list[Token]) -> Iterator[Line]:
    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            yield from around(new[new_start:new_end])
            continue
        yield from (Line(UNDONE[was], text) for was, text in old[start:end] if was in UNDONE)
        yield from (Line(is_now, text) for is_now, text in new[new_start:new_end])


def around(same: list[Token]) -> Iterator[Line]:
    """A few lines on either side of what differs; they changed nothing between the versions."""
    if len(same) > 2 * LINES_AROUND:
        yield from (Line("same", text) for _, text in same[:LINES_AROUND])
        yield Line("hunk", f"{len(same) - 2 * LINES_AROUND} lines that both have")
        yield from (Line("same", text) for _, text in same[-LINES_AROUND:])
    else:
        yield from (Line("same", text) for _, text in same)
