"""Looks into repositories that no transaction waits for: a server that does not answer must hold no
connection to the database, and no row that others want.

Work that may need one is given to `outside`. Where a look is missing in a transaction that this work
has opened by `transaction`, all of it is rolled back, the look is taken, and the work begins anew.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import BoundedSemaphore
from typing import NoReturn, TypeVar, cast
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import db
from changes.base.errors import ChangesError, Invalid, Unavailable
from changes.projects import config, mirrors, sync_rules
from changes.projects.models import Repository
from changes.vcs.errors import BadName, MissingFile, TooLarge, UnknownRevision, VcsError
from changes.vcs.interface import UPDATE_TIMEOUT_S, Mirror, RevisionSeen

SHA_LENGTH = 40
LOOKS = "looks"
Answer = TypeVar("Answer")
PROBLEMS = ["sha", "repository"]


@dataclass(frozen=True)
class Question:
    repository_id: UUID
    url: str
    name: str


@dataclass(frozen=True)
class Found:
    """With the text of its configuration file."""

    seen: RevisionSeen
    config: str


@dataclass(frozen=True)
class Looks:
    """What was found so far, by what was asked; a complaint is kept for the place where it belongs."""

    known: dict[Hashable, object] = field(default_factory=dict)


class Missing(Exception):
    """The work cannot go on before somebody has looked."""

    def __init__(self, question: Hashable, look: Callable[[float], object]) -> None:
        super().__init__()
        self.question = question
        self.look = look


def outside(
    act: Callable[[Looks], Answer],
    timeout_s: float = UPDATE_TIMEOUT_S,
    places: BoundedSemaphore | None = None,
) -> Answer:
    """`places` bound how many look at once; without a free one there is a complaint instead."""
    looks = Looks()
    while True:
        try:
            return act(looks)
        except Missing as missing:
            looks.known[missing.question] = taken(missing, timeout_s, places)


def taken(missing: Missing, timeout_s: float, places: BoundedSemaphore | None) -> object:
    if places is not None and not places.acquire(blocking=False):
        return Unavailable("Too many wait for their repositories now; please ask again.", PROBLEMS)
    try:
        return missing.look(timeout_s)
    except ChangesError as error:
        return error
    finally:
        if places is not None:
            places.release()


@contextmanager
def transaction(looks: Looks) -> Iterator[Session]:
    with db.transaction() as session, used(session, looks):
        yield session


@contextmanager
def used(session: Session, looks: Looks | None) -> Iterator[None]:
    """Within it, no look is taken that is not there. Without any looks, each is taken at once."""
    before = session.info.get(LOOKS)
    session.info[LOOKS] = looks
    try:
        yield
    finally:
        session.info[LOOKS] = before


def find(session: Session, repository: Repository, name: str) -> Found:
    mirror, question = mirrors.of(repository), Question(repository.id, repository.url, name)
    return looked(session, question, partial(look, mirror, question))


def looked(session: Session, question: Hashable, look: Callable[[float], Answer]) -> Answer:
    """What the look finds, which is given the seconds that it may take. Where there is no transaction that
    waits for it, nor any object of one.
    """
    looks: Looks | None = session.info.get(LOOKS)
    if looks is None:
        return look(UPDATE_TIMEOUT_S)
    if question not in looks.known:
        raise Missing(question, look)
    known = looks.known[question]
    if isinstance(known, ChangesError):
        raise known
    return cast("Answer", known)


def look(mirror: Mirror, question: Question, timeout_s: float) -> Found:
    name, url = question.name, question.url
    try:
        sha = resolve(mirror, name, timeout_s)
        return Found(look_at(mirror, sha, name), read_config(mirror, sha))
    except (UnknownRevision, BadName) as error:
        raise Invalid(f"Unable to find commit {name} in {url}.", PROBLEMS) from error
    except VcsError as error:
        refuse_for_now(question, error)


def refuse_for_now(question: Question, error: VcsError) -> NoReturn:
    text = f"Unable to find commit {question.name} in {question.url}: the repository cannot be read now."
    raise Unavailable(f"{text} {error}", PROBLEMS) from error


def resolve(mirror: Mirror, name: str, timeout_s: float = UPDATE_TIMEOUT_S) -> str:
    """A full sha that is already here needs no fetch; any other name may have moved."""
    if len(name) == SHA_LENGTH and mirror.exists() and mirror.has(name):
        return name
    mirror.update(timeout_s)
    try:
        return mirror.resolve(name)
    except UnknownRevision:
        if len(name) == SHA_LENGTH:
            return mirror.fetch(name, timeout_s)
        raise


def look_at(mirror: Mirror, sha: str, name: str) -> RevisionSeen:
    """With the branches it is on: the one that was asked for stands first, else the default one."""
    seen = mirror.revision(sha)
    branches = seen.branches or tuple(mirror.branches_of(sha))
    first = name if name in branches else mirror.default_branch()
    ordered = sorted(branches, key=lambda branch: (branch != first, branch))
    return seen._replace(branches=tuple(ordered[: sync_rules.BRANCHES_MAX]))


def read_config(mirror: Mirror, sha: str) -> str:
    try:
        return mirror.read_file(sha, config.FILE_NAME, config.SIZE_MAX_BYTES).decode("utf-8", "replace")
    except MissingFile:
        return ""
    except TooLarge:
        return config.TOO_LARGE
