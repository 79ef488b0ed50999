"""A git mirror: bare, with the remote's branches and tags under their own names."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from changes.vcs import blocks, git_leftovers, git_output, git_worktree, names
from changes.vcs.errors import LeftLocked, MissingFile, TimedOut, TooLarge, UnknownRevision
from changes.vcs.git_command import Git
from changes.vcs.interface import (
    DIFF_MAX_BYTES,
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
from changes.vcs.run import Finished, Limits, texts

BRANCHES = "refs/heads/"
# Commits that were asked for one by one stay here, where no update prunes them.
KEPT = "refs/kept/"
TAGS_AND_BRANCHES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
QUIET_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-gc",
    "--no-recurse-submodules",
)
PLAIN_DIFF = ("diff-tree", "-r", "--no-commit-id", "--root", "--no-ext-diff", "--no-textconv")
USUAL_DEFAULTS = ("main", "master")
HEADER_MAX_BYTES = 2 * names.NAME_MAX_CHARS
GC_LIMITS = Limits(timeout_s=UPDATE_TIMEOUT_S)
ROOM_FOR_REFS_BYTES = 256 * 1024 * 1024


def until(ends_at: float) -> Limits:
    return Limits(ends_at - time.monotonic(), ROOM_FOR_REFS_BYTES)


class GitMirror:
    def __init__(self, url: str, path: Path, credentials: Credentials) -> None:
        self.url = url
        self.path = path
        self._git = Git(url, credentials)
        self._here = f"--git-dir={path}"

    def exists(self) -> bool:
        return git_worktree.refs_path(self.path).is_file()

    def reach(self, timeout_s: float = POLL_TIMEOUT_S) -> None:
        self._git.talk("ls-remote", "--", self.url, "HEAD", limits=Limits(timeout_s))

    def update(self, timeout_s: float = UPDATE_TIMEOUT_S) -> None:
        ends_at = time.monotonic() + timeout_s
        with locked(self.path, timeout_s) as lock:
            ask = ("ls-remote", "--heads", "--tags", "--", self.url)
            remote = git_output.refs(self._git.talk(*ask, limits=until(ends_at)))
            self._create(next(iter(remote.values()), ""))
            if remote != self._refs() or not self.exists():
                git = self._git.holding(lock)
                self._fetch_all(git, ends_at)
                # In the foreground, so that it is over before somebody else may change the mirror. Who has
                # little time leaves it to those who come after.
                if timeout_s >= UPDATE_TIMEOUT_S:
                    git.read(self._here, "-c", "gc.auto=6700", "gc", "--auto", "--quiet", limits=GC_LIMITS)

    def _create(self, sha_of_any: str) -> None:
        if not (self.path / "HEAD").is_file():
            object_format = git_worktree.object_format(sha_of_any)
            self._git.read(
                "init",
                "--quiet",
                "--bare",
                "--template=",
                f"--object-format={object_format}",
                "--",
                str(self.path),
            )

    def _fetch_all(self, git: Git, ends_at: float) -> None:
        self._fetch(git, "--prune", "--", self.url, *TAGS_AND_BRANCHES, limits=until(ends_at))
        # Asked only here: to tell HEAD, a server lists every ref it has, pull requests and all.
        listing = git.talk("ls-remote", "--symref", "--", self.url, "HEAD", limits=until(ends_at))
        if head := git_output.symbolic_head(listing):
            git.read(self._here, "symbolic-ref", "HEAD", head)
        git_worktree.write_refs(self.path, self._refs())

    def _fetch(self, git: Git, *arguments: str, limits: Limits) -> None:
        """Only with the lock, so whatever lies about is of somebody who was killed."""
        git_leftovers.remove_packs(self.path)
        fetch = (self._here, *QUIET_FETCH, *arguments)
        try:
            git.talk(*fetch, limits=limits)
        except LeftLocked:
            git_leftovers.remove_locks(self.path)
            git.talk(*fetch, limits=limits)

    def fetch(self, name: str, timeout_s: float = UPDATE_TIMEOUT_S, *, depth: int | None = None) -> str:
        names.check_revision(name)
        limits = Limits(timeout_s)
        with locked(self.path, timeout_s) as lock:
            sha = name if names.is_full_sha(name) else self._remote_sha(name, limits)
            self._create(sha)
            if not self.has(sha):
                how_deep = () if depth is None else (f"--depth={depth}",)
                refs = f"{sha}:{KEPT}{sha}"
                self._fetch(self._git.holding(lock), *how_deep, "--", self.url, refs, limits=limits)
            return self.resolve(sha)

    def _remote_sha(self, name: str, limits: Limits) -> str:
        found = git_output.refs(self._git.talk("ls-remote", "--", self.url, name, limits=limits))
        # ls-remote also lists what only ends with the name.
        wanted = (ref for ref in (name, f"{BRANCHES}{name}", f"refs/tags/{name}") if ref in found)
        if ref := next(wanted, None):
            return found[ref]
        raise UnknownRevision(f"the remote has no {name}")

    def remote_branches(self, timeout_s: float = POLL_TIMEOUT_S) -> dict[str, str]:
        with self.asked_branches(timeout_s) as answer:
            return answer()

    @contextmanager
    def asked_branches(self, timeout_s: float = POLL_TIMEOUT_S) -> Iterator[Callable[[], dict[str, str]]]:
        ask = ("ls-remote", "--heads", "--", self.url)
        with self._git.talking(*ask, limits=Limits(timeout_s, ROOM_FOR_REFS_BYTES)) as answer:
            yield lambda: git_output.under(BRANCHES, git_output.refs(answer()))

    def resolve(self, name: str) -> str:
        names.check_revision(name)
        return self._resolve_all([name])[0]

    def _resolve_all(self, wanted: list[str]) -> list[str]:
        found = self._commits([candidate for name in wanted for candidate in git_output.candidates(name)])
        shas = []
        for name in wanted:
            known = [found[candidate] for candidate in git_output.candidates(name)]
            sha = next(filter(None, known), None)
            if sha is None:
                raise UnknownRevision(f"no single commit is called {name}")
            shas.append(sha)
        return shas

    def _commits(self, candidates: list[str]) -> dict[str, str | None]:
        question = "".join(f"{candidate}^{{commit}}\n" for candidate in candidates)
        listing = self._git.read(
            self._here, "cat-file", "--batch-check=%(objectname)", stdin=question.encode()
        )
        return dict(zip(candidates, git_output.checked_objects(listing), strict=True))

    def has(self, sha: str) -> bool:
        names.check_sha(sha)
        return self._commits([sha])[sha] is not None

    def revision(self, sha: str) -> RevisionSeen:
        names.check_sha(sha)
        (found,) = blocks.revisions(self._log("--no-walk", stdin=sha.encode()))
        return found

    def log_blocks(self, query: LogQuery = EVERYTHING) -> Iterator[Block]:
        for name in (*query.starts, *query.excludes):
            names.check_revision(name)
        for path in query.paths:
            names.check_path(path)
        starts = self._resolve_all(list(query.starts)) if query.starts else list(self.branches().values())
        if not starts:
            return iter(())
        options = [f"--skip={query.skip}"]
        options += [] if query.limit is None else [f"--max-count={query.limit}"]
        options += ["--first-parent"] if query.first_parent else []
        options += ["--date-order"] if query.children_first else []
        excludes = self._known(query.excludes) if query.excludes else []
        lines = [*starts, *(f"^{sha}" for sha in excludes)]
        return self._log(*options, stdin="\n".join(lines).encode(), paths=query.paths)

    def log(self, query: LogQuery = EVERYTHING) -> Iterator[RevisionSeen]:
        return blocks.revisions(self.log_blocks(query))

    def _known(self, wanted: tuple[str, ...]) -> list[str]:
        found = self._commits([candidate for name in wanted for candidate in git_output.candidates(name)])
        return [sha for sha in found.values() if sha]

    def _log(self, *options: str, stdin: bytes, paths: tuple[str, ...] = ()) -> Iterator[Block]:
        arguments = ("log", *git_output.LOG_OPTIONS, "--encoding=UTF-8", *options)
        output = self._git.stream(self._here, *arguments, "--stdin", "--", *paths, stdin=stdin)
        return git_output.blocks(texts(output, "\0"))

    def branches(self) -> dict[str, str]:
        return git_output.under(BRANCHES, self._refs())

    def _refs(self, *options: str) -> dict[str, str]:
        listing = self._git.read(
            self._here,
            *("for-each-ref", "--format=%(objectname) %(refname)", *options, "refs/heads", "refs/tags"),
            limits=Limits(output_max_bytes=ROOM_FOR_REFS_BYTES),
        )
        return git_output.refs(listing)

    def branches_of(self, sha: str) -> list[str]:
        names.check_sha(sha)
        return sorted(git_output.under(BRANCHES, self._refs(f"--contains={sha}")))

    def default_branch(self) -> str:
        head = self._git.read(self._here, "symbolic-ref", "HEAD").decode("utf-8", "replace").strip()
        if self._commits([head])[head]:
            return head.removeprefix(BRANCHES)
        # A remote may point its HEAD at nothing.
        branches = self.branches()
        if not branches:
            return head.removeprefix(BRANCHES)
        return next((usual for usual in USUAL_DEFAULTS if usual in branches), min(branches))

    def read_file(self, sha: str, path: str, size_max_bytes: int = FILE_MAX_BYTES) -> bytes:
        names.check_sha(sha)
        names.check_path(path)
        answer = self._git.read(
            self._here,
            *("cat-file", "--batch", "--follow-symlinks"),
            stdin=f"{sha}:{path}\n".encode(),
            limits=Limits(output_max_bytes=size_max_bytes + HEADER_MAX_BYTES),
        )
        content = git_output.file_content(answer, path)
        if content is None:
            raise self._why_missing(sha, path)
        if len(content) > size_max_bytes:
            raise TooLarge(f"{path} has more than {size_max_bytes} bytes")
        return content

    def _why_missing(self, sha: str, path: str) -> MissingFile | UnknownRevision:
        return MissingFile(f"no file {path}") if self.has(sha) else UnknownRevision(f"no commit {sha}")

    def files(self, sha: str) -> list[str]:
        names.check_sha(sha)
        listing = self._git.read(
            self._here,
            *("ls-tree", "-r", "-z", "--name-only", "--full-tree", sha),
            limits=Limits(output_max_bytes=NAMES_MAX_BYTES),
        )
        return [name.decode("utf-8", "replace") for name in listing.split(b"\0") if name]

    def existing(self, sha: str, paths: Sequence[str]) -> set[str]:
        names.check_sha(sha)
        asked = [path for path in paths if names.is_path(path)]
        question = "".join(f"{sha}:{path}\n" for path in asked)
        kinds = ("cat-file", "--batch-check=%(objecttype)")
        listing = self._git.read(self._here, *kinds, stdin=question.encode()).splitlines() if asked else []
        return {path for path, kind in zip(asked, listing, strict=True) if kind == b"blob"}

    def changed_files(self, sha: str) -> list[str]:
        names.check_sha(sha)
        # -m compares a merge with each of its parents.
        listing = self._git.read(
            self._here, *PLAIN_DIFF, "-m", "-z", "--name-only", "--no-renames", sha, "--"
        )
        return sorted({name.decode("utf-8", "replace") for name in listing.split(b"\0") if name})

    def touching(
        self, shas: Sequence[str], is_wanted: Callable[[str], bool], timeout_s: float
    ) -> Generator[str, None, None]:
        names.check_sha(*shas)
        ends_at = time.monotonic() + timeout_s
        # -m compares a merge with each of its parents.
        options = ("-r", "--root", "--no-ext-diff", "--no-textconv", "--no-renames", "-m", "-z")
        asked = "".join(f"{sha}\n" for sha in shas).encode()
        output = self._git.stream(self._here, "diff-tree", "--stdin", "--name-only", *options, stdin=asked)
        for told in git_output.touching(texts(output, "\0"), frozenset(shas), is_wanted):
            if time.monotonic() > ends_at:
                raise TimedOut("to look through so many commits took too long")
            yield from told

    def diff(self, sha: str, base: str | None = None) -> bytes:
        names.check_sha(sha, *([base] if base else []))
        commits = (base, sha) if base else ("--diff-merges=first-parent", sha)
        return self._git.read(self._here, *PLAIN_DIFF, "-p", "--binary", "--full-index", "-M", *commits, "--")

    def is_ancestor(self, older: str, newer: str) -> bool:
        names.check_sha(older, newer)
        return self._answer("merge-base", "--is-ancestor", older, newer) is not None

    def ordinal(self, sha: str) -> str:
        names.check_sha(sha)
        return f"{self._answer('rev-list', '--count', sha)}:{sha}"

    def merge_base(self, one: str, other: str) -> str | None:
        names.check_sha(one, other)
        return self._answer("merge-base", one, other)

    def _answer(self, *arguments: str) -> str | None:
        """One line; None where git says no, which is exit code 1 without a complaint."""
        finished = self._git.call(self._here, *arguments)
        if _is_no(finished):
            return None
        self._git.check(finished)
        return finished.stdout.decode().strip()

    def patch_id(self, sha: str) -> str | None:
        names.check_sha(sha)
        options = ("-p", "--full-index", "--no-renames", "--diff-merges=first-parent")
        diff = self._git.read(self._here, *PLAIN_DIFF, *options, sha, "--")
        answer = self._git.read(
            "patch-id", "--stable", stdin=diff, limits=Limits(output_max_bytes=DIFF_MAX_BYTES)
        )
        return answer.decode().split(" ")[0] or None

    def checkout(self, sha: str, into: Path, wanted: Wanted = WHOLE_TREE) -> None:
        names.check_sha(sha)
        for path in wanted.paths:
            names.check_path(path)
        git_worktree.checkout(self._git, self, sha, into, wanted)

    def remove(self) -> None:
        with locked(self.path, LOCAL_TIMEOUT_S):
            remove_folder(self.path)

    def apply_patch(self, into: Path, diff: bytes) -> None:
        git_worktree.apply_patch(self._git, into, diff)


def _is_no(finished: Finished) -> bool:
    return finished.exit_code == 1 and not finished.complaint
