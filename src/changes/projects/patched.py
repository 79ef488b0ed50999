"""A file as a patch leaves it. Pure."""

from collections.abc import Sequence

from changes.projects.diffs import FileDiff


def lines_after(before: Sequence[str], file: FileDiff) -> list[str] | None:
    """None where the patch is of another text."""
    after: list[str] = []
    at = 0
    for line in file.lines:
        if line.kind in ("added", "same"):
            missing = (line.new or 1) - 1 - len(after)
            after += before[at : at + missing]
            at += missing
        if line.kind == "removed":
            missing = (line.old or 1) - 1 - at
            after += before[at : at + missing]
            at += missing
        if line.kind in ("removed", "same"):
            if at < 0 or at >= len(before) or before[at].rstrip("\r") != line.text.rstrip("\r"):
                return None
            at += 1
        if line.kind in ("added", "same"):
            after.append(line.text)
    return after + list(before[at:])
