"""Parts of a revision, little of its history, submodules and large files: what a plan may ask for."""

from contextlib import closing
from pathlib import Path

import pytest
from tests.vcs.remotes import LOGIN, GitHttp
from tests.vcs.sources import GitSource, call

from changes.vcs.errors import BadName, VcsError
from changes.vcs.interface import Credentials, Mirror, Wanted
from changes.vcs.open import open_mirror


def files(tree: Path) -> list[str]:
    found = (path for path in tree.rglob("*") if path.is_file() or path.is_symlink())
    names = (path.relative_to(tree).as_posix() for path in found)
    return sorted(name for name in names if not name.startswith(".git/"))


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource.new(tmp_path / "source")


@pytest.fixture
def mirror(source: GitSource, tmp_path: Path) -> Mirror:
    return open_mirror("git", str(source.path), tmp_path / "mirror")


def test_a_sparse_checkout_has_only_what_was_asked_for(
    source: GitSource, mirror: Mirror, tmp_path: Path
) -> None:
    sha = source.commit(dict.fromkeys(("a", "b/c", "b/d/e", "odd [x]* !", "odd x", "f/b/c"), b"x"))
    mirror.update()

    mirror.checkout(sha, tmp_path / "tree", Wanted(paths=("b/d", "odd [x]* !", "not-there")))

    assert files(tmp_path / "tree") == ["b/d/e", "odd [x]* !"]
    assert call("git", "-C", tmp_path / "tree", "status", "--porcelain") == ""


@pytest.mark.parametrize("path", ["../a", "/a", "a\nb", ".", ""])
def test_a_sparse_path_that_is_none_is_refused(
    source: GitSource, mirror: Mirror, tmp_path: Path, path: str
) -> None:
    sha = source.commit({"a": b"x"})
    mirror.update()

    with pytest.raises(BadName):
        mirror.checkout(sha, tmp_path / "tree", Wanted(paths=(path,)))


def test_a_patch_is_applied_to_a_sparse_checkout(source: GitSource, mirror: Mirror, tmp_path: Path) -> None:
    sha = source.commit({"a/x": b"1\n", "b/y": b"1\n"})
    changed = source.commit({"a/x": b"2\n", "b/y": b"2\n"})
    mirror.update()
    mirror.checkout(sha, tmp_path / "tree", Wanted(paths=("a",)))

    mirror.apply_patch(tmp_path / "tree", mirror.diff(changed))

    assert (tmp_path / "tree" / "a" / "x").read_bytes() == b"2\n"
    assert call("git", "-C", tmp_path / "tree", "show", "HEAD:b/y") == "2"


def test_a_short_history_has_so_many_commits(source: GitSource, mirror: Mirror, tmp_path: Path) -> None:
    shas = [source.commit({"a": str(number).encode()}) for number in range(5)]

    # A path of this machine is linked, not fetched, and a link has all of the history.
    short = open_mirror("git", f"file://{source.path}", tmp_path / "short")
    short.fetch(shas[3], depth=2)
    short.checkout(shas[3], tmp_path / "tree")

    history = call("git", "-C", tmp_path / "tree", "log", "--format=%H").split()
    assert history == [shas[3], shas[2]]
    assert (tmp_path / "tree" / "a").read_bytes() == b"3"
    assert not mirror.exists()


def test_a_later_commit_comes_into_a_short_history_too(source: GitSource, tmp_path: Path) -> None:
    first = source.commit({"a": b"1"})
    short = open_mirror("git", f"file://{source.path}", tmp_path / "short")
    short.fetch(first, depth=1)

    second = source.commit({"a": b"2"})
    short.fetch("refs/heads/main", depth=1)
    short.checkout(second, tmp_path / "tree")

    assert (tmp_path / "tree" / "a").read_bytes() == b"2"


def with_submodule(source: GitSource, url: str, path: str = "library") -> str:
    call(
        "git",
        *("-C", source.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, path),
    )
    return source.commit({})


def test_submodules_come_when_they_are_asked_for(source: GitSource, mirror: Mirror, tmp_path: Path) -> None:
    library = GitSource.new(tmp_path / "library")
    library.commit({"inner": b"x"})
    sha = with_submodule(source, str(library.path))
    mirror.update()

    mirror.checkout(sha, tmp_path / "without")
    mirror.checkout(sha, tmp_path / "with", Wanted(submodules=True))

    assert files(tmp_path / "without") == [".gitmodules"]
    assert files(tmp_path / "with") == [".gitmodules", "library/.git", "library/inner"]


def test_no_command_of_a_submodule_runs(source: GitSource, mirror: Mirror, tmp_path: Path) -> None:
    library = GitSource.new(tmp_path / "library")
    library.commit({"inner": b"x"})
    with_submodule(source, str(library.path))
    command = f"!touch {tmp_path / 'ran'}"
    source.git("config", "--file", ".gitmodules", "submodule.library.update", command)
    sha = source.commit({})
    mirror.update()

    with pytest.raises(VcsError, match="submodule"):
        mirror.checkout(sha, tmp_path / "tree", Wanted(submodules=True))

    assert not (tmp_path / "ran").exists()


@pytest.mark.packages
def test_a_repository_from_elsewhere_brings_no_files_of_this_machine(
    source: GitSource, tmp_path: Path
) -> None:
    private = GitSource.new(tmp_path / "private")
    private.commit({"secret": b"x"})
    sha = with_submodule(source, str(private.path))
    with closing(GitHttp(tmp_path)) as server:
        login = Credentials(username=LOGIN[0], password=LOGIN[1])
        mirror = open_mirror("git", f"{server.address}/source", tmp_path / "mirror", credentials=login)
        mirror.update()

        with pytest.raises(VcsError, match="not allowed"):
            mirror.checkout(sha, tmp_path / "tree", Wanted(submodules=True))

    assert not (tmp_path / "tree").exists()


def lfs_source(source: GitSource) -> str:
    """One whose large file lies in the store of LFS beside the repository."""
    source.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    source.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")
    source.git("config", "filter.lfs.required", "true")
    attributes = b"*.bin filter=lfs diff=lfs merge=lfs -text\n"
    return source.commit({".gitattributes": attributes, "big.bin": b"x" * 999})


@pytest.mark.packages
def test_large_files_come_when_they_are_asked_for(source: GitSource, tmp_path: Path) -> None:
    sha = lfs_source(source)
    # git-lfs itself plays the server for an address of this kind.
    mirror = open_mirror("git", f"file://{source.path}", tmp_path / "mirror")
    mirror.update()

    mirror.checkout(sha, tmp_path / "without")
    mirror.checkout(sha, tmp_path / "with", Wanted(lfs=True))

    assert (tmp_path / "without" / "big.bin").read_bytes().startswith(b"version https://git-lfs")
    assert (tmp_path / "with" / "big.bin").read_bytes() == b"x" * 999
    assert call("git", "-C", tmp_path / "with", "status", "--porcelain") == ""


def test_without_the_program_large_files_are_refused_in_words(
    source: GitSource, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = source.commit({"a": b"x"})
    mirror.update()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(call("sh", "-c", "command -v git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(VcsError, match="git-lfs is not installed"):
        mirror.checkout(sha, tmp_path / "tree", Wanted(lfs=True))
