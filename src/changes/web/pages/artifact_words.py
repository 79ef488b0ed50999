"""How lists of files are put into words and groups. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from changes.builds.models import JobStep
from changes.results.artifact_queries import Kept
from changes.results.models import Artifact
from changes.web.pages import previews, unseen

# A name is one line, whatever is in it.
BREAKS = {"\n": "LF", "\t": "TAB"}
SHA_SHOWN_CHARS = 12
# Text of a name, and whether it only names what is not seen.
NameParts = list[tuple[str, bool]]


@dataclass(frozen=True)
class FileShown:
    artifact: Artifact
    # Where it differs from the file before: the folders that begin here.
    folder: NameParts | None
    base: NameParts
    kind: str
    until: datetime | None

    @property
    def is_deep(self) -> bool:
        return "/" in self.artifact.name


@dataclass(frozen=True)
class Group:
    """What one step left behind."""

    step: JobStep
    files: Sequence[FileShown]


def name_parts(name: str) -> NameParts:
    return list(parts_of(name))


def parts_of(name: str) -> Iterator[tuple[str, bool]]:
    for piece in re.split("([\n\t])", name):
        if piece in BREAKS:
            yield BREAKS[piece], True
        else:
            yield from unseen.parts(piece)


def groups(files: Sequence[Artifact], kept: Kept) -> list[Group]:
    """The files come by step and name."""
    return [
        Group(members[0].step, list(with_folders(members, kept)))
        for _, found in itertools.groupby(files, key=lambda each: each.step_id)
        if (members := list(found))
    ]


def with_folders(files: Sequence[Artifact], kept: Kept) -> Iterator[FileShown]:
    before = ""
    for each in files:
        folder, _, base = each.name.rpartition("/")
        is_new = folder != before and bool(folder)
        before = folder
        yield FileShown(
            each,
            name_parts(f"{folder}/") if is_new else None,
            name_parts(base),
            previews.WORDS[previews.by_name(each.name)],
            kept.until(each.name),
        )


def scope(files: Sequence[Artifact], job: str | None, step: str | None) -> str:
    """Of what part of the build the list is; empty for all of it."""
    if not files:
        return "one step" if step else "one job" if job else ""
    first = files[0].step
    if step:
        return f"step {first.label} of job {first.job.label}"
    return f"job {first.job.label}" if job else ""


@dataclass(frozen=True)
class Thumbnail:
    href: str
    src: str
    name: NameParts
    kind: str


def thumbnails(files: Sequence[Artifact]) -> list[Thumbnail]:
    """By their names; what only says that it is a picture is not drawn by the browser either."""
    return [
        Thumbnail(
            f"/artifacts/{each.id.hex}/",
            f"/artifacts/{each.id.hex}/raw/",
            name_parts(each.name.rpartition("/")[2]),
            previews.by_name(each.name).value,
        )
        for each in files
    ]
