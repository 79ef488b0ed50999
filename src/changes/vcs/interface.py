"""What git and Mercurial can do for us: one local mirror of one remote repository.

A `sha` is always a full one; only `resolve` and `fetch` take other names. Everything may raise a
`VcsError`; see errors.py for which of them mean "try again".
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

UPDATE_TIMEOUT_S = 600.0
POLL_TIMEOUT_S = 60.0
LOCAL_TIMEOUT_S = 120.0
FILE_MAX_BYTES = 16 * 1024 * 1024
DIFF_MAX_BYTES = 64 * 1024 * 1024
# The names of a million files.
NAMES_MAX_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Credentials:
    """How to enter the remote. A token is a password; its user name rarely matters.

    `ssh_key` is the private key, `known_hosts` lines as in the file of that name. Without them the
    account's own file is used; a host seen for the first time is remembered there, a changed host
    key is refused.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may show; a user name alone is a token."""
        secret = self.password or self.username
        return (secret,) if secret else ()


class Person(NamedTuple):
    """As the commit says it, which proves nothing; the email may be empty."""

    name: str
    email: str


class RevisionSeen(NamedTuple):
    """A commit. Git does not record branches (ask `branches_of`), Mercurial records one.

    A tuple, like a person, because a first import makes one for each commit there is.
    """

    sha: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    authored_at: datetime
    committed_at: datetime
    message: str
    branches: tuple[str, ...] = ()


class Block(NamedTuple):
    """Commits of a log, a column for each field: a first import reads thousands at a time.

    The parents of a commit stand in one text with blanks between them, a moment is ISO 8601 in UTC, and no
    text holds a NUL.
    """

    shas: Sequence[str]
    parents: Sequence[str]
    authors: Sequence[tuple[str, str]]
    committers: Sequence[tuple[str, str]]
    authored: Sequence[str]
    committed: Sequence[str]
    messages: Sequence[str]
    # As in RevisionSeen; none of them are recorded by git.
    branches: Sequence[str] = ()


@dataclass(frozen=True)
class LogQuery:
    """Which commits: those reached from `starts` (names; none means every branch) but not from `excludes`.

    Excludes the mirror does not know are passed over, so yesterday's branch heads may be given
    although someone rewrote them. `paths` are literal names of files and folders.
    """

    starts: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    skip: int = 0
    limit: int | None = None
    first_parent: bool = False
    # No parent before any of its children, also where clocks were wrong; costs the first commit some time.
    children_first: bool = False


EVERYTHING = LogQuery()


@dataclass(frozen=True)
class Wanted:
    """What of a revision a work tree holds: all of it, or the files and folders of `paths` alone.

    Submodules and the content of LFS come from wherever the revision says, so only ask for them
    where its commands may run as well. Git alone knows any of this.
    """

    paths: tuple[str, ...] = ()
    submodules: bool = False
    lfs: bool = False


WHOLE_TREE = Wanted()


class Mirror(Protocol):
    """A local copy of a remote repository, shared by all processes of this machine."""

    @property
    def path(self) -> Path:
        """Where the copy is; work trees may need to read it, never to write it."""

    @property
    def url(self) -> str:
        """The remote, without credentials."""

    def exists(self) -> bool:
        """Whether it was filled at least once."""

    def reach(self, timeout_s: float = POLL_TIMEOUT_S) -> None:
        """Ask the remote whether it is a repository that we may read; nothing is copied."""

    def update(self, timeout_s: float = UPDATE_TIMEOUT_S) -> None:
        """Make or refresh the copy; branches the remote dropped go. Any number may call at once."""

    def fetch(self, name: str, timeout_s: float = UPDATE_TIMEOUT_S, *, depth: int | None = None) -> str:
        """Get one commit by sha or full ref name, also one no branch leads to, and keep it; its sha.

        With a depth, git brings only so much of its history; keep such mirrors apart from others.
        """

    def remote_branches(self, timeout_s: float = POLL_TIMEOUT_S) -> dict[str, str]:
        """What the remote has now. Equal to `branches()`: there is nothing to update."""

    def asked_branches(
        self, timeout_s: float = POLL_TIMEOUT_S
    ) -> AbstractContextManager[Callable[[], dict[str, str]]]:
        """The same for who has other things to do until the answer is there, and then calls for it."""

    def resolve(self, name: str) -> str:
        """The sha of a branch, tag, sha, its beginning, or HEAD: in this order, except a full sha."""

    def has(self, sha: str) -> bool:
        """Whether the copy holds this commit."""

    def revision(self, sha: str) -> RevisionSeen:
        """One commit."""

    def log(self, query: LogQuery = EVERYTHING) -> Iterator[RevisionSeen]:
        """Newest first, read as they are asked for; so may be an UnknownRevision. Close it to stop early."""

    def log_blocks(self, query: LogQuery = EVERYTHING) -> Iterator[Block]:
        """The same many at a time, for who reads all of a history."""

    def branches(self) -> dict[str, str]:
        """Name to sha of the newest commit."""

    def branches_of(self, sha: str) -> list[str]:
        """Names of the branches that contain the commit."""

    def default_branch(self) -> str:
        """What the remote gives to those who do not ask for a branch."""

    def read_file(self, sha: str, path: str, size_max_bytes: int = FILE_MAX_BYTES) -> bytes:
        """Content of a file; links are followed inside the repository only."""

    def files(self, sha: str) -> list[str]:
        """The names of all its files; what is no file itself, as a submodule, may be among them."""

    def existing(self, sha: str, paths: Sequence[str]) -> set[str]:
        """Which of these names lead to a file; of a revision that is not here, none."""

    def changed_files(self, sha: str) -> list[str]:
        """Sorted names that differ from any of the parents; for a root commit all its files.

        A merge so counts for everything it brings to either side. A rename has both names.
        """

    def touching(
        self, shas: Sequence[str], is_wanted: Callable[[str], bool], timeout_s: float
    ) -> Generator[str, None, None]:
        """Those of these commits that change a file with such a name, in their order; as `changed_files`.

        What is not here is passed over. Close it to stop early; who takes longer is TimedOut.
        """

    def diff(self, sha: str, base: str | None = None) -> bytes:
        """A git-style diff with binary content, from `base` or else from the first parent."""

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether the newer commit builds on the older one; each commit builds on itself."""

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, if there is one."""

    def ordinal(self, sha: str) -> str:
        """Its place in the history and its name: how many commits led to it, or its number in this copy."""

    def patch_id(self, sha: str) -> str | None:
        """Equal for the same change at another place of the history; None where there is no such thing."""

    def checkout(self, sha: str, into: Path, wanted: Wanted = WHOLE_TREE) -> None:
        """A clean work tree in an absent or empty folder.

        Nothing done in it reaches the mirror, but git's reads from it: it must stay readable at its path.
        """

    def remove(self) -> None:
        """Take the copy away, damaged as it may be; the next `update` makes it anew."""

    def apply_patch(self, into: Path, diff: bytes) -> None:
        """Apply a diff to a fresh work tree; git also commits it."""
