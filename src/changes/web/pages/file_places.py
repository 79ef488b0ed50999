"""What a failure says of files and lines, led to where they can be read."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from changes.base.db import Session
from changes.base.errors import Unavailable
from changes.projects import files, versions
from changes.projects.models import Source
from changes.web.pages import links

# As Python says it; as nearly everybody else does; as TypeScript and Visual C++ do.
PLACE = re.compile(
    r'File "(?P<quoted>[^"\n]{1,300})", line (?P<of_quoted>\d{1,7})'
    r"|(?<![\w./@+~-])(?P<plain>[\w./@+~-]{1,300}?\.[A-Za-z]\w{0,9})(?::(?P<of_plain>\d{1,7})\b|\((?P<of_round>\d{1,7})[,)])"
)
PLACES_MAX, NAMES_MAX = 200, 400
# Of others, which a checkout does not hold under a name of ours.
FOREIGN = re.compile("/(site-packages|dist-packages|node_modules|lib/python[0-9.]*)/")
# A larger patch is not read for this.
PATCH_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Place:
    start: int
    end: int
    path: str
    line: int


@dataclass(frozen=True)
class Piece:
    text: str
    href: str = ""


def told(session: Session, source: Source, text: str) -> Sequence[Piece]:
    """Where a patch touches a file its base has other lines: no address is better than a wrong one."""
    found = list(places(text))
    touched = touched_by(session, source) if found else None
    if touched is None:
        return [Piece(text)] if text else []
    asked = dict.fromkeys(name for place in found for name in names_of(place.path))
    wanted = [name for name in asked if name not in touched][:NAMES_MAX]
    sha, repository = source.revision_sha, source.repository
    there = files.existing(session, repository, sha, wanted)
    return pieces(text, found, there, lambda path, line: links.file_at(repository.id, sha, path, line))


def touched_by(session: Session, source: Source) -> set[str] | None:
    """None where nobody can say."""
    if source.patch is None:
        return set()
    if source.patch.size_bytes > PATCH_MAX_BYTES:
        return None
    try:
        return {path for file in versions.diff_of(session, source) for path in (file.path, file.old_path)}
    except Unavailable:
        return None


def places(text: str) -> Iterator[Place]:
    for count, found in enumerate(PLACE.finditer(text)):
        if count == PLACES_MAX:
            return
        path = found["quoted"] or found["plain"]
        line = int(found["of_quoted"] or found["of_plain"] or found["of_round"])
        if line and not FOREIGN.search(path):
            yield Place(found.start(), found.end(), path, line)


def names_of(path: str) -> list[str]:
    """What it may be called in the repository: as it stands, or what is left of it below some checkout."""
    parts = PurePosixPath(path).parts
    if not path.startswith("/"):
        return ["/".join(parts)]
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def pieces(
    text: str, found: Sequence[Place], there: set[str], address_of: Callable[[str, int], str]
) -> list[Piece]:
    told_so_far, end = [], 0
    for place in found:
        name = next((name for name in names_of(place.path) if name in there), None)
        if name is not None:
            told_so_far.append(Piece(text[end : place.start]))
            told_so_far.append(Piece(text[place.start : place.end], address_of(name, place.line)))
            end = place.end
    return [*told_so_far, Piece(text[end:])]
