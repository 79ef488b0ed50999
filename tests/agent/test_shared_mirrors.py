"""One mirror and many steps that begin at the same moment."""

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from changes.agent.checkout import Logins, Origin
from changes.agent.mirrors import Mirrors, name_of
from changes.protocol import Checkout
from changes.vcs.errors import VcsError
from changes.vcs.git import GitMirror
from changes.vcs.interface import Wanted

FILES, STEPS = 30, 6
WITHIN_S = 60.0


@pytest.fixture
def wanted(tmp_path: Path) -> Checkout:
    """A commit with some files."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"file{number}").write_text(f"{number}\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=Olga", "-c", "user.email=o@example.com", "commit", "--quiet", "-m", "First")
    return Checkout(backend="git", url=str(folder), sha=git(folder, "rev-parse", "HEAD"))


@pytest.fixture
def mirrors(home: Path) -> Mirrors:
    return Mirrors(home)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", "-C", folder, *arguments], text=True).strip()


def origin_of(mirrors: Mirrors, wanted: Checkout) -> Origin:
    return Origin(mirrors, wanted, Logins(list))


def an_object_of(mirrors: Mirrors, wanted: Checkout) -> Path:
    """Of a file of that commit."""
    sha = git(Path(wanted.url), "rev-parse", f"{wanted.sha}:file7")
    return mirrors.folder / name_of(wanted) / "objects" / sha[:2] / sha[2:]


def test_many_steps_begin_on_a_machine_that_knows_nothing_of_their_repository(
    mirrors: Mirrors, wanted: Checkout, tmp_path: Path
) -> None:
    begin = threading.Barrier(STEPS)

    def check_out(number: int) -> int:
        begin.wait(WITHIN_S)
        origin_of(mirrors, wanted).check_out(tmp_path / f"tree{number}")
        return len(list((tmp_path / f"tree{number}").glob("file*")))

    with ThreadPoolExecutor(STEPS) as steps:
        assert list(steps.map(check_out, range(STEPS))) == [FILES] * STEPS
    assert mirrors.times_mended(wanted) == 0


def test_a_commit_that_somebody_fetches_just_now_is_waited_for(
    mirrors: Mirrors, wanted: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin_of(mirrors, wanted).check_out(tmp_path / "before")
    not_there_yet, aside = an_object_of(mirrors, wanted), tmp_path / "aside"
    not_there_yet.rename(aside)
    check_out = GitMirror.checkout

    def check_out_too_early(self: GitMirror, sha: str, into: Path, what: Wanted) -> None:
        try:
            check_out(self, sha, into, what)
        except VcsError:
            # By the time anybody looks again it has come.
            aside.rename(not_there_yet)
            raise

    monkeypatch.setattr(GitMirror, "checkout", check_out_too_early)
    origin_of(mirrors, wanted).check_out(tmp_path / "tree")

    assert (tmp_path / "tree" / "file7").read_text() == "7\n"
    assert mirrors.times_mended(wanted) == 0


def test_a_damaged_mirror_is_made_anew_once_however_many_find_it(
    mirrors: Mirrors, wanted: Checkout, tmp_path: Path
) -> None:
    origin_of(mirrors, wanted).check_out(tmp_path / "before")
    an_object_of(mirrors, wanted).unlink()

    def check_out(number: int) -> str:
        return origin_of(mirrors, wanted).check_out(tmp_path / f"tree{number}").sha

    with ThreadPoolExecutor(STEPS) as steps:
        assert list(steps.map(check_out, range(STEPS))) == [wanted.sha] * STEPS
    assert mirrors.times_mended(wanted) == 1
