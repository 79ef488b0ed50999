"""The working tree of git as it stands, without touching it: index and new objects lie elsewhere."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from changes.app.cli.output import REFUSED, WRONG_USAGE, fail
from changes.app.cli.trying_tools import Snapped, ask, line, run

# Of the user's own settings those that would write beside the index, or ask somebody.
QUIET = (
    "-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "core.fsmonitor=false",
    "-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false",
)  # fmt: skip
DIFF = (
    "diff-tree", "-r", "-p", "-M", "--binary", "--full-index", "--no-ext-diff", "--no-textconv",
    "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=all",
)  # fmt: skip
LARGEST_TOLD = 3
# No patch is this large, so git need not read such a file to tell.
FILE_MAX_BYTES = 256 * 2**20


def snapped(top: Path, urls: Sequence[str]) -> Snapped:
    """`urls` are those of the project's repository."""
    if run(top, "git", "rev-parse", "--verify", "-q", "HEAD").returncode != 0:
        fail("There is no commit here yet, so nothing that the server could know.", REFUSED)
    base = base_of(top, urls)
    with tempfile.TemporaryDirectory(prefix="changes-try-") as folder:
        patch, largest = difference(top, Path(folder), base)
    subject = line(ask(top, "git", "log", "-1", "--format=%s", "HEAD"))
    return Snapped(base, patch, subject, largest)


def difference(top: Path, folder: Path, base: str) -> tuple[bytes, list[str]]:
    env = apart(top, folder)
    refuse_huge(top, env)
    ask(top, "git", *QUIET, "add", "--all", "--", ".", env=env)
    tree = line(ask(top, "git", *QUIET, "write-tree", env=env))
    patch = ask(top, "git", *DIFF, base, tree, env=env)
    names = ask(top, "git", "diff-tree", "-r", "-z", "--name-only", "--diff-filter=d", base, tree, env=env)
    return patch, largest_of(top, [os.fsdecode(each) for each in names.split(b"\0") if each])


def refuse_huge(top: Path, env: Mapping[str, str]) -> None:
    touched = ("ls-files", "-z", "--modified", "--others", "--exclude-standard")
    names = [os.fsdecode(each) for each in ask(top, "git", *QUIET, *touched, env=env).split(b"\0") if each]
    # Of a link it is the link that goes.
    files = [name for name in names if (top / name).is_file() and not (top / name).is_symlink()]
    huge = [name for name in files if (top / name).stat().st_size > FILE_MAX_BYTES]
    if huge:
        told = ", ".join(largest_of(top, huge))
        fail(f"Too large to be sent with a patch: {told}. Ignore it, or push first.", WRONG_USAGE)


def changed_files(top: Path, base: str) -> list[str]:
    """What differs from a commit, untracked files too."""
    with tempfile.TemporaryDirectory(prefix="changes-try-") as folder:
        env = apart(top, Path(folder))
        ask(top, "git", *QUIET, "add", "--all", "--", ".", env=env)
        tree = line(ask(top, "git", *QUIET, "write-tree", env=env))
        names = ask(top, "git", "diff-tree", "-r", "-z", "--no-renames", "--name-only", base, tree, env=env)
    return [os.fsdecode(each) for each in names.split(b"\0") if each]


def apart(top: Path, folder: Path) -> dict[str, str]:
    """An index and a store of objects of our own, which begin as theirs."""
    index, objects = (path_in(top, name) for name in ("index", "objects"))
    mine = folder / "index"
    if index.exists():
        shutil.copyfile(index, mine)
    (folder / "objects").mkdir()
    others = os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")
    return {
        "GIT_INDEX_FILE": str(mine),
        "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(filter(None, [str(objects), others])),
        "GIT_OPTIONAL_LOCKS": "0",
    }


def path_in(top: Path, name: str) -> Path:
    return top / line(ask(top, "git", "rev-parse", "--git-path", name))


def largest_of(top: Path, names: Sequence[str]) -> list[str]:
    sizes = [(path.stat().st_size, name) for name in names if (path := top / name).is_file()]
    return [f"{name} ({size // 1024} KiB)" for size, name in sorted(sizes, reverse=True)[:LARGEST_TOLD]]


def base_of(top: Path, urls: Sequence[str]) -> str:
    """The newest commit below this one that the remote has, as far as is known here."""
    if any(is_here(url, top) for url in urls):
        return line(ask(top, "git", "rev-parse", "HEAD"))
    remotes = line(ask(top, "git", "remote")).splitlines()
    ours = [name for name in remotes if any(same(url, url_of(top, name)) for url in urls)] or remotes
    refs = [
        ref
        for name in ours
        for ref in line(
            ask(top, "git", "for-each-ref", "--format=%(objectname)", f"refs/remotes/{name}/")
        ).splitlines()
    ]
    if not refs:
        fail("No remote branch is known here, so nothing that the server could know: git fetch.", WRONG_USAGE)
    found = run(top, "git", "merge-base", "HEAD", *sorted(set(refs)))
    if found.returncode != 0:
        fail("This branch has no commit in common with the remote's, so the server knows none.", REFUSED)
    return line(found.stdout)


def url_of(top: Path, remote: str) -> str:
    return line(run(top, "git", "remote", "get-url", remote).stdout)


def is_here(url: str, top: Path) -> bool:
    path = url.removeprefix("file://")
    return path.startswith("/") and Path(path).resolve() == top.resolve()


def same(one: str, other: str) -> bool:
    return plain(one) == plain(other)


def plain(url: str) -> str:
    """Two ways to write an address: with or without scheme, user, port of ssh, and .git at its end."""
    rest = url.strip().partition("://")[2] or url.strip()
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    if ":" in host and not slash:
        host, _, path = host.partition(":")
    elif ":" in host:
        begins, _, more = host.partition(":")
        host, path = begins, path if more.isdecimal() else f"{more}/{path}"
    return f"{host}/{path}".lower().rstrip("/").removesuffix(".git")
