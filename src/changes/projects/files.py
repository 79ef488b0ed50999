"""A file of a repository as it was at one of its revisions."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from changes.base.errors import NotFound, Unavailable
from changes.projects import mirrors
from changes.projects.models import Repository, Revision
from changes.projects.rules import RepositoryBackend
from changes.vcs.errors import BadName, MissingFile, TooLarge, UnknownRevision, VcsError
from changes.vcs.interface import FILE_MAX_BYTES, Mirror

# Of git: what holds a NUL so early is no text.
LOOKED_AT_BYTES = 8000
FETCH_MAX_S = 30.0
# Of the name of a branch or tag, between its slashes.
NAME_PARTS_MAX = 6


@dataclass(frozen=True)
class Place:
    """Where it is looked for."""

    mirror: Mirror
    revision: str
    path: str
    # Only what we know is asked of the server: readers must not make us fetch what they like.
    is_known: bool


@dataclass(frozen=True)
class FileAt:
    """Without content, it is larger than was asked for."""

    place: Place
    sha: str
    content: bytes | None

    @property
    def is_binary(self) -> bool:
        return b"\0" in (self.content or b"")[:LOOKED_AT_BYTES]


def place(session: Session, repository: Repository, revision: str, path: str) -> Place:
    if repository.backend == RepositoryBackend.UNKNOWN:
        raise NotFound("This repository has no version control system, so nobody knows its files.")
    known = session.get(Revision, (repository.id, revision)) is not None
    return Place(mirrors.of(repository, session), revision, path, known)


def read(place: Place, size_max_bytes: int = FILE_MAX_BYTES) -> FileAt:
    """With no transaction open, as it may take its time."""
    try:
        return read_at(place, size_max_bytes)
    except NotFound:
        for each in with_longer_names(place):
            with suppress(NotFound):
                return read_at(each, size_max_bytes)
        raise


def with_longer_names(place: Place) -> Iterator[Place]:
    """A branch may have slashes in its name, and nothing in an address says where the name ends."""
    parts = place.path.split("/")
    for end in range(1, 1 if place.is_known else min(NAME_PARTS_MAX, len(parts))):
        name = "/".join([place.revision, *parts[:end]])
        yield replace(place, revision=name, path="/".join(parts[end:]))


def read_at(place: Place, size_max_bytes: int) -> FileAt:
    try:
        sha = resolve(place)
        return FileAt(place, sha, content(place, sha, size_max_bytes))
    except UnknownRevision as error:
        raise NotFound(f"No commit here is called {place.revision}.") from error
    except (BadName, MissingFile) as error:
        raise NotFound(f"There is no file {place.path} at {place.revision}.") from error
    except VcsError as error:
        raise Unavailable(f"The repository cannot be read now. {error}") from error


def resolve(place: Place) -> str:
    mirror, name = place.mirror, place.revision
    if place.is_known and not (mirror.exists() and mirror.has(name)):
        return mirror.fetch(name, FETCH_MAX_S)
    if not mirror.exists():
        raise Unavailable("The repository was not read yet.")
    return mirror.resolve(name)


def content(place: Place, sha: str, size_max_bytes: int) -> bytes | None:
    try:
        return place.mirror.read_file(sha, place.path, size_max_bytes)
    except TooLarge:
        return None


def existing(session: Session, repository: Repository, sha: str, paths: Sequence[str]) -> set[str]:
    """Which of these names lead to a file, as far as it can be told here and now."""
    if not paths or repository.backend == RepositoryBackend.UNKNOWN:
        return set()
    mirror = mirrors.of(repository, session)
    try:
        return mirror.existing(sha, paths) if mirror.exists() else set()
    except VcsError:
        return set()
