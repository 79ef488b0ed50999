"""The door to this folder: `open_mirror`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from changes.vcs import names
from changes.vcs.errors import BadName
from changes.vcs.git import GitMirror
from changes.vcs.hg import HgMirror
from changes.vcs.interface import Credentials, Mirror

_BACKENDS: dict[str, Callable[[str, Path, Credentials], Mirror]] = {"git": GitMirror, "hg": HgMirror}


def open_mirror(backend: str, url: str, path: Path, *, credentials: Credentials | None = None) -> Mirror:
    """A mirror of `url` at `path`; nothing is read or made before it is asked for.

    User and password in an http URL work like credentials given beside it, which win over them.
    """
    names.check_url(url, allows_scp_style=backend == "git")
    if backend not in _BACKENDS:
        raise BadName(f"no such version control system: {backend!r}")
    clean_url, in_url = names.split_credentials(url)
    return _BACKENDS[backend](clean_url, path.absolute(), _join(credentials, in_url))


def _join(given: Credentials | None, in_url: Credentials | None) -> Credentials:
    if given is None:
        return in_url or Credentials()
    if in_url is None or given.username or given.password:
        return given
    return replace(given, username=in_url.username, password=in_url.password)
