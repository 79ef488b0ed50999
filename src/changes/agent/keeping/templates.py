"""Names of caches: `pip-{{ hashFiles('requirements*.txt') }}`, in the words of GitHub's workflows."""

import hashlib
import os
import platform
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from changes.agent.errors import BadOffer
from changes.agent.keeping.archives import FILE, READ_BYTES, opened
from changes.agent.patterns import is_wanted

HOLE = re.compile(r"\$?\{\{\s*(.*?)\s*\}\}")
CALL = re.compile(r"hashFiles\(\s*((?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*)\s*\)")
TEXT = re.compile(r"'([^']*)'|\"([^\"]*)\"")
KEY_MAX = 512
FILES_MAX = 1000
# Looking for files everywhere in a huge repository is not worth it.
LOOKED_AT_MAX = 500_000
SKIPPED = frozenset({".git", ".hg", "node_modules"})


def key_of(template: str, source: Path, work: Path, env: dict[str, str]) -> str:
    """Raises BadOffer for what is no key."""
    known: dict[str, Callable[[], str]] = {
        "os": lambda: platform.system().lower(),
        "arch": platform.machine,
        "branch": lambda: env.get("CHANGES_BRANCH", ""),
    }

    def filled(hole: re.Match[str]) -> str:
        inside = hole[1]
        if inside in known:
            return known[inside]()
        call = CALL.fullmatch(inside)
        if call is None:
            names = ", ".join(known)
            raise BadOffer(f"The key of a cache knows {names} and hashFiles('...'), not {inside!r}.")
        patterns = [one or two for one, two in TEXT.findall(call[1])]
        return hash_files(patterns, source, work)

    key = HOLE.sub(filled, template).strip()
    if not key or len(key) > KEY_MAX or not key.isprintable():
        raise BadOffer(f"The key of a cache has 1 to {KEY_MAX} letters, not {len(key)}.")
    return key


def hash_files(patterns: list[str], source: Path, work: Path) -> str:
    """Of names and content of all files that fit; empty where there is none, as elsewhere."""
    found = sorted(path for path in files_below(source) if is_wanted(path, patterns))
    if not found:
        return ""
    if len(found) > FILES_MAX:
        raise BadOffer(f"hashFiles fits {len(found)} files; {FILES_MAX} are the most.")
    whole = hashlib.sha256()
    above = source.relative_to(work).parts
    for path in found:
        *folders, name = path.split("/")
        with opened(work, (*above, *folders)) as at:
            whole.update(f"{len(path)} {path}".encode(errors="surrogateescape"))
            whole.update(digest_at(at, name))
    return whole.hexdigest()


def digest_at(at: int, name: str) -> bytes:
    digest = hashlib.sha256()
    with os.fdopen(os.open(name, FILE, dir_fd=at), "rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            while data := file.read(READ_BYTES):
                digest.update(data)
    return digest.digest()


def files_below(source: Path) -> Iterator[str]:
    """Plain files only: links may lead anywhere."""
    looked_at = 0
    for top, folders, files, at in os.fwalk(source):
        folders[:] = [each for each in folders if each not in SKIPPED]
        looked_at += len(files)
        if looked_at > LOOKED_AT_MAX:
            raise BadOffer("The checkout has too many files for hashFiles.")
        for name in files:
            if stat.S_ISREG(os.lstat(name, dir_fd=at).st_mode):
                yield (Path(top) / name).relative_to(source).as_posix()
