"""Reads what git prints; pure."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from changes.vcs import names
from changes.vcs.errors import MissingFile
from changes.vcs.interface import Person, RevisionSeen

LOG_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"
_LOG_FIELDS = LOG_FORMAT.count("%x00") + 1
_LAST_MOMENT_S = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_OBJECT = re.compile(r"[0-9a-f]{40,64} (?P<type>[a-z]+) [0-9]+")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,63}")


def revisions(fields: Iterator[str]) -> Iterator[RevisionSeen]:
    """From the NUL-separated fields of LOG_FORMAT; no commit can hold a NUL in any of them."""
    for record in zip(*([fields] * _LOG_FIELDS), strict=True):
        sha, parents, author, author_email, authored, committer, committer_email, committed, message = record
        yield RevisionSeen(
            sha,
            tuple(parents.split()),
            person(author, author_email),
            person(committer, committer_email),
            moment(authored),
            moment(committed),
            message.rstrip("\n"),
        )


# The same few write most of a history.
@lru_cache(maxsize=1024)
def person(name: str, email: str) -> Person:
    return Person(name, email)


def moment(seconds: str) -> datetime:
    """Commits may claim any number, or none; what no calendar holds is moved to its ends."""
    try:
        at = int(seconds)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp(at if 0 <= at <= _LAST_MOMENT_S else min(max(at, 0), _LAST_MOMENT_S), UTC)


def refs(listing: bytes) -> dict[str, str]:
    """Name to sha, of `ls-remote` or `for-each-ref`; without the commits that annotated tags point to."""
    pairs = (line.split(None, 1) for line in listing.decode("utf-8", "replace").splitlines())
    return {name: sha for sha, name in pairs if sha != "ref:" and not name.endswith("^{}")}


def under(prefix: str, refs_found: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): sha for name, sha in refs_found.items() if name.startswith(prefix)}


def symbolic_head(listing: bytes) -> str | None:
    """Where `ls-remote --symref` says that HEAD points."""
    found = re.search(rb"^ref: (refs/heads/\S+)\tHEAD$", listing, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else None


def candidates(name: str) -> list[str]:
    """What a name may stand for, best first; so no file beside the refs is ever taken for one."""
    if names.is_full_sha(name) or name == "HEAD" or name.startswith("refs/"):
        return [name]
    found = [f"refs/heads/{name}", f"refs/tags/{name}"]
    return [*found, name] if _ABBREVIATED.fullmatch(name) else found


def checked_objects(listing: bytes) -> list[str | None]:
    """One sha or None for each line given to `cat-file --batch-check=%(objectname)`."""
    lines = listing.decode("utf-8", "replace").splitlines()
    return [line if names.is_full_sha(line) else None for line in lines]


def file_content(answer: bytes, path: str) -> bytes | None:
    """Of `cat-file --batch --follow-symlinks`; None when revision or file is missing."""
    header, _, rest = answer.partition(b"\n")
    line = header.decode("utf-8", "replace")
    if found := _OBJECT.fullmatch(line):
        if found["type"] != "blob":
            raise MissingFile(f"{path} is a folder")
        return rest[:-1]
    if line.endswith(" missing"):
        return None
    # What git says of links: dangling, loop, symlink (leaves the repository), notdir.
    raise MissingFile(f"{path} is a link that leads to no file of the repository")
