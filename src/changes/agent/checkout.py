"""The work tree of a step: out of a local mirror; the remote is entered only for what is not here yet."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from changes.agent.mirrors import Mirrors
from changes.protocol import Checkout, Login
from changes.vcs import errors, names
from changes.vcs.errors import Damaged, NotARepository, UnknownRevision, VcsError
from changes.vcs.interface import Credentials, Mirror, Wanted

# The first that fits is told; what the tool says follows.
SENTENCES: tuple[tuple[type[VcsError], str], ...] = (
    (errors.ToolMissing, "This agent lacks a program."),
    (errors.TimedOut, "It took too long."),
    (errors.Unreachable, "The server of the repository does not answer."),
    (errors.Forbidden, "The server of the repository does not let this agent in."),
    (errors.NotARepository, "There is no such repository any more, or it may not be seen."),
    (errors.UnknownRevision, "The repository has no such commit."),
)

log = logging.getLogger("changes.agent")


class Logins:
    """How to enter repositories, in memory only; the server is asked once, and only if need be."""

    def __init__(self, ask: Callable[[], list[Login]]) -> None:
        self._ask = ask
        self._known: dict[str, Login] | None = None

    def of(self, url: str) -> Credentials | None:
        if self._known is None:
            self._known = {login.url: login for login in self._ask()}
        found = self._known.get(url)
        if found is None:
            return None
        return Credentials(
            username=found.username,
            password=found.password,
            ssh_key=found.ssh_key,
            known_hosts=found.known_hosts,
        )


@dataclass(frozen=True)
class Tree:
    """A work tree and where it came from."""

    sha: str
    mirror: Mirror


@dataclass(frozen=True)
class Origin:
    mirrors: Mirrors
    wanted: Checkout
    logins: Logins
    # The folder of the step.
    borrower: Path | None = None

    def check_out(self, into: Path) -> Tree:
        """A mirror that turns out to be damaged is made anew, once; also where another step has done so."""
        times_mended = self.mirrors.times_mended(self.wanted)
        try:
            return self._check_out(into)
        except VcsError as error:
            mirror = self._entered()
            if self.mirrors.times_mended(self.wanted) == times_mended:
                if not _may_be_damaged(error, mirror):
                    raise explained(error) from error
                log.warning("The mirror of %s is damaged and made anew: %s", mirror.url, error)
        return self._check_out_anew(mirror, into, times_mended)

    def _check_out_anew(self, mirror: Mirror, into: Path, times_mended: int) -> Tree:
        try:
            self.mirrors.mend(self.wanted, mirror, times_mended)
            return self._check_out(into)
        except VcsError as error:
            raise explained(error) from error

    def _check_out(self, into: Path) -> Tree:
        what = Wanted(tuple(self.wanted.sparse), submodules=self.wanted.submodules, lfs=self.wanted.lfs)
        if names.is_full_sha(self.wanted.sha) and not (what.submodules or what.lfs):
            mirror = self.mirrors.open(self.wanted, borrower=self.borrower)
            if mirror.path.is_dir():
                try:
                    mirror.checkout(self.wanted.sha, into, what)
                    return Tree(self.wanted.sha, mirror)
                except VcsError as error:
                    if not (isinstance(error, UnknownRevision) or _may_be_damaged(error, mirror)):
                        raise
                    # It is newer than the mirror, or somebody fetches it just now, and not all of it is there
                    # yet. Whoever fetches waits for him.
                    log.debug("%s cannot be had from the mirror: %s", self.wanted.sha, error)
        tree = self._fetched()
        try:
            tree.mirror.checkout(tree.sha, into, what)
        except UnknownRevision as error:
            raise Damaged(f"a commit that was fetched is not there: {error}") from error
        self.mirrors.tidy()
        return tree

    def _entered(self) -> Mirror:
        return self.mirrors.open(self.wanted, self.logins.of(self.wanted.url), self.borrower)

    def _fetched(self) -> Tree:
        mirror = self._entered()
        if not self.wanted.depth:
            return Tree(_fetch(mirror, self.wanted.sha), mirror)
        try:
            return Tree(mirror.fetch(self.wanted.sha, depth=self.wanted.depth), mirror)
        except UnknownRevision:
            # Some servers give away whole branches only.
            whole = Origin(self.mirrors, replace(self.wanted, depth=0), self.logins, self.borrower)
            return whole._fetched()


def _fetch(mirror: Mirror, name: str) -> str:
    """A branch moves, so the remote is asked what it stands for now."""
    if not names.is_full_sha(name):
        mirror.update()
        return mirror.resolve(name)
    # All branches, because the next steps build what is on them.
    mirror.update()
    if not mirror.has(name):
        mirror.fetch(name)
    return name


def _may_be_damaged(error: VcsError, mirror: Mirror) -> bool:
    """By what has a name of its own, and by what nobody has a name for."""
    is_strange = isinstance(error, (Damaged, NotARepository)) or type(error) is VcsError
    return is_strange and mirror.path.exists()


def explained(error: VcsError) -> VcsError:
    sentence = next((words for kind, words in SENTENCES if isinstance(error, kind)), "")
    return type(error)(f"{sentence} {error}".strip())
