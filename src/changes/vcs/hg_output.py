"""Reads what Mercurial prints; pure."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from changes.vcs import names
from changes.vcs.errors import MissingFile
from changes.vcs.interface import LogQuery, Person, RevisionSeen

_FIELDS = "sha=node, p1=p1node, p2=p2node, author=author, date=date|hgdate, branch=branch, message=desc"
LOG_TEMPLATE = f"{{dict({_FIELDS})|json}}\\n"
# The content comes last, because it may hold anything.
FILE_TEMPLATE = "{path}\\0{data}"
FILES_TEMPLATE = "{node}\\0{p2node}\\0{files % '{file}\\0'}\\0"
_NO_PARENT = "0" * 40
# Mercurial has no other word for "no limit".
LIMIT_MAX = 2**31 - 1
_LAST_MOMENT_S = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def revisions(lines: Iterable[bytes]) -> Iterator[RevisionSeen]:
    for line in lines:
        seen = json.loads(line)
        # Mercurial knows one person and one moment per commit.
        person, at = parse_person(seen["author"]), _moment(seen["date"])
        yield RevisionSeen(
            sha=seen["sha"],
            parents=tuple(parent for parent in (seen["p1"], seen["p2"]) if parent != _NO_PARENT),
            author=person,
            committer=person,
            authored_at=at,
            committed_at=at,
            message=seen["message"].replace("\0", ""),
            branches=(seen["branch"],),
        )


def parse_person(text: str) -> Person:
    if found := re.fullmatch(r"\s*(?P<name>.*?)\s*<(?P<email>[^<>]*)>\s*", text, re.DOTALL):
        return Person(found["name"], found["email"])
    is_address = re.fullmatch(r"[^\s@]+@[^\s@]+", text)
    return Person(text.partition("@")[0], text) if is_address else Person(text, "")


def _moment(hgdate: str) -> datetime:
    """A commit may claim any number; what no calendar holds is moved to its ends."""
    at = int(hgdate.partition(" ")[0])
    return datetime.fromtimestamp(min(max(at, 0), _LAST_MOMENT_S), UTC)


def revset(query: LogQuery) -> str:
    """The query in Mercurial's language."""
    wanted = " or ".join(map(symbol, query.starts)) or "all()"
    known = " or ".join(f"present({symbol(name)})" for name in query.excludes) or "none()"
    touching = " or ".join(f"file({quoted_path(path)})" for path in query.paths) or "all()"
    reached = "_firstancestors" if query.first_parent else "ancestors"
    found = f"reverse(({reached}({wanted}) - ancestors({known})) and ({touching}))"
    if query.limit is None and not query.skip:
        return found
    return f"limit({found}, {LIMIT_MAX if query.limit is None else query.limit}, {query.skip})"


def symbol(name: str) -> str:
    """A checked name as a query. Mercurial would take mere digits for one of its local numbers."""
    if name == "HEAD":
        return '"default"'
    is_number = name.isdigit() and not names.is_full_sha(name)
    return f'id("{name}")' if is_number else f'"{name}"'


def branch_heads(listing: bytes) -> dict[str, str]:
    """From lines `name NUL sha`, where a later line wins."""
    lines = listing.decode("utf-8", "replace").splitlines()
    return dict(line.split("\0") for line in lines if "\0" in line)


def file_content(answer: bytes, path: str) -> bytes:
    name, _, content = answer.partition(b"\0")
    if name.decode("utf-8", "replace") != path:
        raise MissingFile(f"{path} is a folder")
    return content


def link_target(path: str, content: bytes) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), content.decode("utf-8", "replace")))
    if target.startswith(("/", "..")) or target == path:
        raise MissingFile(f"{path} is a link that leads to no file of the repository")
    return target


def quoted_path(path: str) -> str:
    """For Mercurial's languages; a name may hold anything, so it travels as hex escapes."""
    escaped = "".join(f"\\x{byte:02x}" for byte in f"path:{path}".encode())
    return f'"{escaped}"'


def files_of_commits(listing: bytes) -> Iterator[tuple[str, bool, list[str]]]:
    """Sha, whether it is a merge, and its files: no name is empty, so an empty one ends them."""
    fields = listing.decode("utf-8", "replace").split("\0")
    begin = 0
    while begin + 1 < len(fields):
        end = fields.index("", begin + 2)
        yield fields[begin], fields[begin + 1] != _NO_PARENT, fields[begin + 2 : end]
        begin = end + 1
