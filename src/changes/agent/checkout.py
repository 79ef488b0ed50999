"""The work tree of a step: out of a local mirror, with the patch under test applied."""

import hashlib
from pathlib import Path

from changes.protocol import Checkout
from changes.vcs import names
from changes.vcs.errors import UnknownRevision
from changes.vcs.interface import Mirror
from changes.vcs.open import open_mirror


class Mirrors:
    """One mirror per repository, shared by all steps and kept for the next ones."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "mirrors"

    def open(self, wanted: Checkout) -> Mirror:
        name = hashlib.sha1(wanted.url.encode(), usedforsecurity=False).hexdigest()
        return open_mirror(wanted.backend, wanted.url, self._folder / name)


def check_out(mirror: Mirror, sha: str, into: Path) -> None:
    """The remote is asked only for a commit that is not here yet."""
    if mirror.exists():
        try:
            mirror.checkout(sha, into)
        except UnknownRevision:
            pass
        else:
            return
    mirror.update()
    if not mirror.has(sha):
        mirror.fetch(sha)
    mirror.checkout(sha, into)


def check_out_named(mirror: Mirror, name: str, into: Path) -> str:
    """A branch moves, so the remote is asked first; returns the commit it stands for now."""
    if names.is_full_sha(name):
        check_out(mirror, name, into)
        return name
    mirror.update()
    sha = mirror.resolve(name)
    mirror.checkout(sha, into)
    return sha
