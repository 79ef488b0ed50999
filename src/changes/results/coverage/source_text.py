"""The text of a file as a build had it, to show its lines with whether they ran."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from changes.base.errors import Invalid, NotFound, Unavailable
from changes.builds.models import Build
from changes.projects import diffs, files, patched, patches
from changes.projects.diffs import FileDiff
from changes.projects.files import Place

SHOWN_MAX_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """What is read from where; without a place nobody can read it. `change` is what a patch does to it."""

    place: Place | None
    change: FileDiff | None
    problem: str = ""


@dataclass(frozen=True)
class SourceText:
    """Without lines, and why."""

    lines: Sequence[str] = ()
    problem: str = ""


def wanted(session: Session, build: Build, path: str) -> Wanted:
    source = build.source
    change = None
    if source.patch is not None:
        changed = diffs.parse(diffs.text_of(patches.content(session, source.patch)))
        change = next((file for file in changed if file.path == path), None)
    if change is not None and change.is_new:
        return Wanted(None, change)
    before = change.old_path if change is not None and change.old_path else path
    try:
        return Wanted(files.place(session, source.repository, source.revision_sha, before), change)
    except Invalid as error:
        return Wanted(None, change, error.message)


def read(what: Wanted) -> SourceText:
    """With no transaction open, as it may take its time."""
    if what.problem:
        return SourceText(problem=what.problem)
    before = lines_at(what.place) if what.place is not None else SourceText()
    if before.problem or what.change is None:
        return before
    after = patched.lines_after(before.lines, what.change)
    return SourceText(after) if after is not None else SourceText(problem="Its patch does not fit the file.")


def lines_at(place: Place) -> SourceText:
    try:
        found = files.read(place, SHOWN_MAX_BYTES)
    except (NotFound, Unavailable) as error:
        return SourceText(problem=error.message)
    if found.content is None:
        return SourceText(problem="It is too large to be shown.")
    if found.is_binary:
        return SourceText(problem="It is not a text.")
    lines = found.content.decode("utf-8", "replace").split("\n")
    return SourceText(lines[:-1] if not lines[-1] else lines)
