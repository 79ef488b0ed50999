"""A Mercurial mirror: a clone without a work tree."""

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from changes.vcs import blocks, hg_output, hg_worktree, names
from changes.vcs.errors import (
    BadName,
    LeftLocked,
    MissingFile,
    NotARepository,
    TimedOut,
    TooLarge,
    UnknownRevision,
)
from changes.vcs.hg_command import Hg
from changes.vcs.interface import (
    EVERYTHING,
    FILE_MAX_BYTES,
    LOCAL_TIMEOUT_S,
    NAMES_MAX_BYTES,
    POLL_TIMEOUT_S,
    UPDATE_TIMEOUT_S,
    WHOLE_TREE,
    Block,
    Credentials,
    LogQuery,
    RevisionSeen,
    Wanted,
)
from changes.vcs.lock import locked
from changes.vcs.removal import remove_folder
from changes.vcs.run import Limits, split

LINKS_MAX = 5
# Commits that one query names: it is one argument of a command.
ASKED_AT_ONCE = 500
HEADER_MAX_BYTES = 2 * names.NAME_MAX_CHARS
HEAD_TEMPLATE = "{branch}\\0{node}\\n"


class HgMirror:
    def __init__(self, url: str, path: Path, credentials: Credentials) -> None:
        self.url = url
        self.path = path
        self._hg = Hg(url, credentials)
        self._here = f"--repository={path}"

    def exists(self) -> bool:
        return (self.path / ".hg" / "requires").is_file()

    def reach(self, timeout_s: float = POLL_TIMEOUT_S) -> None:
        _talk(self._hg, "identify", "--quiet", "--id", "--", self.url, limits=Limits(timeout_s))

    def update(self, timeout_s: float = UPDATE_TIMEOUT_S) -> None:
        ends_at = time.monotonic() + timeout_s
        with locked(self.path, timeout_s) as lock:
            limits = Limits(ends_at - time.monotonic())
            if self.exists():
                self._pull(self._hg.holding(lock), limits=limits)
            else:
                self._clone(self._hg.holding(lock), limits)

    def _clone(self, hg: Hg, limits: Limits) -> None:
        # Whoever sees the mirror sees all of it: it gets its name when it is whole.
        draft = self.path.with_name(f"{self.path.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            # --pull reads a local repository as a remote one, instead of linking its files.
            _talk(hg, "clone", "--quiet", "--noupdate", "--pull", "--", self.url, str(draft), limits=limits)
            draft.rename(self.path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _pull(self, hg: Hg, *options: str, limits: Limits) -> None:
        pull = (self._here, "pull", "--quiet", *options, "--", self.url)
        try:
            _talk(hg, *pull, limits=limits)
        except LeftLocked:
            # Somebody was killed in the middle of a pull; hg takes back what he began.
            hg.read(self._here, "recover", "--no-verify")
            _talk(hg, *pull, limits=limits)

    def fetch(self, name: str, timeout_s: float = UPDATE_TIMEOUT_S, *, depth: int | None = None) -> str:
        names.check_revision(name)
        if depth is not None:
            raise BadName("a checkout without all of the history is for git")
        if not self.exists():
            self.update(timeout_s)
        with locked(self.path, timeout_s) as lock:
            if not (names.is_full_sha(name) and self.has(name)):
                self._pull(self._hg.holding(lock), f"--rev={name}", limits=Limits(timeout_s))
            return self.resolve(name)

    def remote_branches(self, timeout_s: float = POLL_TIMEOUT_S) -> dict[str, str]:
        """Needs the mirror: Mercurial only tells what is there beyond it."""
        finished = self._hg.talk(
            *(self._here, "incoming", "--quiet", f"--template={HEAD_TEMPLATE}", "--", self.url),
            limits=Limits(timeout_s),
        )
        # 1 means that nothing is new.
        if finished.exit_code != 1 or finished.complaint:
            self._hg.check(finished)
        return self.branches() | hg_output.branch_heads(finished.stdout)

    @contextmanager
    def asked_branches(self, timeout_s: float = POLL_TIMEOUT_S) -> Iterator[Callable[[], dict[str, str]]]:
        yield lambda: self.remote_branches(timeout_s)

    def resolve(self, name: str) -> str:
        names.check_revision(name)
        sha = self._sha(hg_output.symbol(name))
        if sha is None:
            raise UnknownRevision(f"no single commit is called {name}")
        return sha

    def _sha(self, revset: str) -> str | None:
        """The one commit of a query; those that stand for nothing and for the work tree do not count."""
        listing = self._hg.read(self._here, "log", f"--rev=last({revset})", "--template={node}")
        sha = listing.decode()
        return None if not sha or set(sha) in ({"0"}, {"f"}) else sha

    def has(self, sha: str) -> bool:
        names.check_sha(sha)
        return self._sha(f'id("{sha}")') is not None

    def revision(self, sha: str) -> RevisionSeen:
        names.check_sha(sha)
        (found,) = self._log(sha)
        return found

    def log(self, query: LogQuery = EVERYTHING) -> Iterator[RevisionSeen]:
        for name in (*query.starts, *query.excludes):
            names.check_revision(name)
        for path in query.paths:
            names.check_path(path)
        return self._log(hg_output.revset(query))

    def log_blocks(self, query: LogQuery = EVERYTHING) -> Iterator[Block]:
        return blocks.of(self.log(query))

    def _log(self, revset: str) -> Iterator[RevisionSeen]:
        output = self._hg.stream(self._here, "log", f"--rev={revset}", f"--template={hg_output.LOG_TEMPLATE}")
        return hg_output.revisions(split(output, b"\n"))

    def branches(self) -> dict[str, str]:
        return hg_output.branch_heads(self._hg.read(self._here, "branches", f"--template={HEAD_TEMPLATE}"))

    def branches_of(self, sha: str) -> list[str]:
        return list(self.revision(sha).branches)

    def default_branch(self) -> str:
        return "default"

    def read_file(self, sha: str, path: str, size_max_bytes: int = FILE_MAX_BYTES) -> bytes:
        names.check_sha(sha)
        names.check_path(path)
        limits = Limits(output_max_bytes=size_max_bytes + HEADER_MAX_BYTES)
        for _ in range(LINKS_MAX):
            content = self._cat(sha, path, "- symlink()", limits)
            if content is None:
                path = self._follow(sha, path, limits)
            elif len(content) > size_max_bytes:
                raise TooLarge(f"{path} has more than {size_max_bytes} bytes")
            else:
                return content
        raise MissingFile(f"{path} is a link in a circle")

    def _follow(self, sha: str, path: str, limits: Limits) -> str:
        content = self._cat(sha, path, "and symlink()", limits)
        if content is None:
            raise MissingFile(f"no file {path}")
        return hg_output.link_target(path, content)

    def _cat(self, sha: str, path: str, condition: str, limits: Limits) -> bytes | None:
        files = f"set:{hg_output.quoted_path(path)} {condition}"
        arguments = ("cat", f"--rev={sha}", f"--template={hg_output.FILE_TEMPLATE}", "--", files)
        finished = self._hg.call(self._here, *arguments, limits=limits)
        if finished.exit_code == 1:
            return None
        self._hg.check(finished)
        return hg_output.file_content(finished.stdout, path)

    def files(self, sha: str) -> list[str]:
        names.check_sha(sha)
        limits = Limits(output_max_bytes=NAMES_MAX_BYTES)
        # Its exit code is 1 where there are none.
        finished = self._hg.call(self._here, "files", f"--rev={sha}", "--template={path}\\0", limits=limits)
        if finished.exit_code != 1 or not self.has(sha):
            self._hg.check(finished)
        return [name.decode("utf-8", "replace") for name in finished.stdout.split(b"\0") if name]

    def existing(self, sha: str, paths: Sequence[str]) -> set[str]:
        names.check_sha(sha)
        asked = {path for path in paths if names.is_path(path)}
        if not asked or not self.has(sha):
            return set()
        patterns = [f"path:{path}" for path in sorted(asked)]
        told = ("--template={path}\\0", f"--rev={sha}")
        finished = self._hg.call(self._here, "files", *told, "--", *patterns)
        # 1 means that there is none of them.
        if finished.exit_code != 1:
            self._hg.check(finished)
        return asked & {name.decode("utf-8", "replace") for name in finished.stdout.split(b"\0")}

    def changed_files(self, sha: str) -> list[str]:
        parents = self.revision(sha).parents or ("null",)
        found: set[str] = set()
        for parent in parents:
            options = ("--no-status", "--print0", "--modified", "--added", "--removed")
            listing = self._hg.read(self._here, "status", *options, f"--rev={parent}", f"--rev={sha}")
            found |= {name.decode("utf-8", "replace") for name in listing.split(b"\0") if name}
        return sorted(found)

    def touching(
        self, shas: Sequence[str], is_wanted: Callable[[str], bool], timeout_s: float
    ) -> Generator[str, None, None]:
        names.check_sha(*shas)
        ends_at = time.monotonic() + timeout_s
        for begin in range(0, len(shas), ASKED_AT_ONCE):
            revset = " + ".join(f'id("{sha}")' for sha in shas[begin : begin + ASKED_AT_ONCE])
            listing = self._hg.read(
                self._here, "log", f"--rev={revset}", f"--template={hg_output.FILES_TEMPLATE}"
            )
            for sha, is_merge, files in hg_output.files_of_commits(listing):
                # Of a merge, Mercurial tells only what differs from both sides.
                if any(map(is_wanted, self.changed_files(sha) if is_merge else files)):
                    yield sha
                if time.monotonic() > ends_at:
                    raise TimedOut("to look through so many commits took too long")

    def diff(self, sha: str, base: str | None = None) -> bytes:
        names.check_sha(sha, *([base] if base else []))
        commits = (f"--rev={base}", f"--rev={sha}") if base else (f"--change={sha}",)
        return self._hg.read(self._here, "diff", "--git", *commits)

    def is_ancestor(self, older: str, newer: str) -> bool:
        names.check_sha(older, newer)
        return self._sha(f"{older} and ancestors({newer})") is not None

    def ordinal(self, sha: str) -> str:
        names.check_sha(sha)
        return self._hg.read(self._here, "log", f"--rev={sha}", "--template={rev}:{node|short}").decode()

    def merge_base(self, one: str, other: str) -> str | None:
        names.check_sha(one, other)
        return self._sha(f"ancestor({one}, {other})")

    def patch_id(self, sha: str) -> str | None:
        names.check_sha(sha)
        return None

    def checkout(self, sha: str, into: Path, wanted: Wanted = WHOLE_TREE) -> None:
        names.check_sha(sha)
        if wanted != WHOLE_TREE:
            raise BadName("sparse checkouts, submodules and LFS are for git")
        if not self.exists():
            raise NotARepository("the mirror was never filled")
        with locked(self.path, LOCAL_TIMEOUT_S, shared=True):
            hg_worktree.checkout(self._hg, self.path, sha, into)

    def remove(self) -> None:
        with locked(self.path, LOCAL_TIMEOUT_S):
            remove_folder(self.path)

    def apply_patch(self, into: Path, diff: bytes) -> None:
        hg_worktree.apply_patch(self._hg, into, diff)


def _talk(hg: Hg, *arguments: str, limits: Limits) -> None:
    hg.check(hg.talk(*arguments, limits=limits))
