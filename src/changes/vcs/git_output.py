"""Reads what git prints; pure."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from changes.vcs import names
from changes.vcs.errors import MissingFile
from changes.vcs.interface import Block

_LOG_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B"
_LOG_FIELDS = _LOG_FORMAT.count("%x00") + 1
# Moments are in the zone of git's environment, which is UTC.
LOG_OPTIONS = ("-z", f"--format=tformat:{_LOG_FORMAT}", "--date=iso-strict-local")
_MOMENT = r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|\+00:00)"
_MOMENTS = re.compile(rf"(?:{_MOMENT}\0)*")
_BEYOND_MOMENTS = re.compile(r"[0-9]{5,}-")
FIRST_MOMENT, LAST_MOMENT = "1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z"
_OBJECT = re.compile(r"[0-9a-f]{40,64} (?P<type>[a-z]+) [0-9]+")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,63}")


def blocks(lists: Iterable[list[str]]) -> Iterator[Block]:
    """From the NUL-separated fields of the log; no commit can hold a NUL in any of them."""
    begun: list[str] = []
    for fields in lists:
        begun += fields
        if whole := len(begun) // _LOG_FIELDS * _LOG_FIELDS:
            yield block([begun[field:whole:_LOG_FIELDS] for field in range(_LOG_FIELDS)])
            begun = begun[whole:]


def block(columns: list[list[str]]) -> Block:
    shas, parents, author, author_email, authored, committer, committer_email, committed, message = columns
    return Block(
        shas,
        parents,
        list(zip(author, author_email, strict=True)),
        list(zip(committer, committer_email, strict=True)),
        moments(authored),
        moments(committed),
        [text.rstrip("\n") for text in message],
    )


def moments(texts: list[str]) -> list[str]:
    """Commits may claim any number, or none; what no calendar holds is moved to its ends."""
    if _MOMENTS.fullmatch("\0".join((*texts, ""))):
        return texts
    return [text if _MOMENTS.fullmatch(f"{text}\0") else nearest_moment(text) for text in texts]


def nearest_moment(text: str) -> str:
    return LAST_MOMENT if _BEYOND_MOMENTS.match(text) else FIRST_MOMENT


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


def touching(
    lists: Iterable[list[str]], shas: Collection[str], is_wanted: Callable[[str], bool]
) -> Iterator[list[str]]:
    """Of `diff-tree --stdin --name-only -z`: who has such a file, once each; a list for each that was read.

    A merge is told once for each of its parents.
    """
    sha, last = "", ""
    for records in lists:
        found = []
        for record in records:
            if record in shas:
                sha = record
            elif sha != last and is_wanted(record):
                found.append(sha)
                last = sha
        yield found
