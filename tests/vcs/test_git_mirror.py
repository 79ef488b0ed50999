"""How a git mirror gets its content, with real git on both sides."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.vcs.sources import GitSource, call

from changes.vcs import run
from changes.vcs.errors import BadName, NotARepository, TimedOut, UnknownRevision, Unreachable
from changes.vcs.interface import Mirror
from changes.vcs.lock import locked
from changes.vcs.open import open_mirror

UPDATE_SCRIPT = """
import sys
from pathlib import Path
from changes.vcs.open import open_mirror
open_mirror("git", sys.argv[1], Path(sys.argv[2])).update()
"""


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource.new(tmp_path / "source")


def mirror_of(source: GitSource) -> Mirror:
    return open_mirror("git", str(source.path), source.path.parent / "mirrors" / "copy")


def test_a_mirror_exists_after_its_first_update_only(source: GitSource) -> None:
    sha = source.commit({"a": b"1"})
    mirror = mirror_of(source)
    existed_before = mirror.exists()

    mirror.update()

    assert not existed_before
    assert mirror.exists()
    assert mirror.branches() == {"main": sha}


def test_an_update_brings_new_moved_and_dropped_branches(source: GitSource) -> None:
    source.commit({"a": b"1"})
    source.git("branch", "old")
    mirror = mirror_of(source)
    mirror.update()
    source.git("branch", "--delete", "old")
    # Git cannot hold "old" and "old/new" at once, so the dropped one has to go first.
    source.git("branch", "old/new")
    source.git("commit", "--quiet", "--amend", "--message", "Rewritten")

    mirror.update()

    assert mirror.branches() == {
        "main": source.git("rev-parse", "main"),
        "old/new": source.git("rev-parse", "old/new"),
    }


def test_a_moved_tag_moves_in_the_mirror(source: GitSource) -> None:
    source.commit({"a": b"1"})
    source.git("tag", "latest")
    mirror = mirror_of(source)
    mirror.update()
    newer = source.commit({"a": b"2"})
    source.git("tag", "--force", "latest")

    mirror.update()

    assert mirror.resolve("latest") == newer


def test_an_empty_repository_can_be_mirrored_and_grow(source: GitSource) -> None:
    mirror = mirror_of(source)
    mirror.update()
    assert (mirror.exists(), mirror.branches(), list(mirror.log())) == (True, {}, [])
    sha = source.commit({"a": b"1"})

    mirror.update()

    assert mirror.branches() == {"main": sha}


def test_the_default_branch_is_the_remotes(source: GitSource) -> None:
    source.commit({"a": b"1"})
    source.git("branch", "--move", "trunk")
    mirror = mirror_of(source)

    mirror.update()

    assert mirror.default_branch() == "trunk"
    assert mirror.resolve("HEAD") == mirror.resolve("trunk")


def test_a_remote_whose_head_points_nowhere_has_a_usual_default(source: GitSource) -> None:
    source.commit({"a": b"1"})
    source.git("branch", "master")
    source.git("checkout", "--quiet", "master")
    source.git("branch", "--delete", "main")
    source.git("symbolic-ref", "HEAD", "refs/heads/gone")
    mirror = mirror_of(source)

    mirror.update()

    assert mirror.default_branch() == "master"


def test_the_remotes_branches_tell_whether_there_is_news(source: GitSource) -> None:
    source.commit({"a": b"1"})
    mirror = mirror_of(source)
    mirror.update()
    assert mirror.remote_branches() == mirror.branches()

    newer = source.commit({"a": b"2"})

    assert mirror.remote_branches() == {"main": newer}
    assert mirror.branches() != {"main": newer}


def test_a_commit_on_no_branch_is_fetched_by_its_ref_and_by_its_sha(source: GitSource) -> None:
    source.commit({"a": b"1"})
    mirror = mirror_of(source)
    mirror.update()
    first, second = source.commit({"a": b"2"}), source.commit({"a": b"3"})
    source.git("update-ref", "refs/pull/1/head", second)
    source.git("reset", "--quiet", "--hard", "HEAD~2")

    assert mirror.fetch("refs/pull/1/head") == second
    assert mirror.fetch(first) == first
    mirror.update()
    assert mirror.has(second)


def test_a_commit_can_be_fetched_before_anything_else(source: GitSource, tmp_path: Path) -> None:
    sha = source.commit({"a": b"1"})
    mirror = mirror_of(source)

    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "tree")

    assert (tmp_path / "tree" / "a").read_bytes() == b"1"
    assert not mirror.exists()


@pytest.mark.parametrize("name", ["1" * 40, "refs/pull/7/head", "gone"])
def test_fetching_what_the_remote_has_not_got_says_so(source: GitSource, name: str) -> None:
    source.commit({"a": b"1"})
    mirror = mirror_of(source)

    with pytest.raises(UnknownRevision):
        mirror.fetch(name)


def test_many_processes_may_update_at_once(source: GitSource, tmp_path: Path) -> None:
    source.grow(300)
    argv = [sys.executable, "-c", UPDATE_SCRIPT, str(source.path), str(tmp_path / "mirrors" / "copy")]
    processes = [subprocess.Popen(argv) for _ in range(4)]

    exit_codes = [process.wait(60) for process in processes]

    assert exit_codes == [0, 0, 0, 0]
    assert len(list(mirror_of(source).log())) == 300


def test_an_update_waits_for_another_only_so_long(source: GitSource) -> None:
    source.commit({"a": b"1"})
    mirror = mirror_of(source)

    with locked(mirror.path, 1), pytest.raises(TimedOut):
        mirror.update(timeout_s=0.1)


@pytest.mark.parametrize("kind", ["absent", "empty folder", "file"])
def test_a_place_without_a_repository_is_not_a_repository(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "empty folder":
        place.mkdir()
    if kind == "file":
        place.write_text("no")
    mirror = open_mirror("git", str(place), tmp_path / "mirror")

    with pytest.raises(NotARepository):
        mirror.update()

    assert not mirror.path.exists()


def test_reading_a_mirror_that_was_never_filled_says_so(source: GitSource) -> None:
    with pytest.raises(NotARepository):
        mirror_of(source).branches()


def test_a_remote_that_does_not_answer_is_unreachable_and_its_password_stays_secret(tmp_path: Path) -> None:
    # Nothing listens on port 1, and an ordinary process cannot make it do so.
    mirror = open_mirror("git", "http://zoe:hunter2@127.0.0.1:1/a", tmp_path / "mirror")

    with pytest.raises(Unreachable) as caught:
        mirror.update()

    assert "hunter2" not in str(caught.value)
    assert "zoe" not in str(caught.value)


def test_a_repository_of_another_account_can_be_mirrored(
    source: GitSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = source.commit({"a": b"1"})
    # Git's own way to make its ownership check fail.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(run, "INHERITED", (*run.INHERITED, "GIT_TEST_ASSUME_DIFFERENT_OWNER"))
    mirror = mirror_of(source)

    mirror.update()

    assert mirror.resolve("main") == sha


def test_no_hook_of_the_mirror_runs(source: GitSource, tmp_path: Path) -> None:
    source.commit({"a": b"1"})
    mirror = mirror_of(source)
    mirror.update()
    hook = mirror.path / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    source.commit({"a": b"2"})

    mirror.update()

    assert not (tmp_path / "ran").exists()


def test_the_users_settings_do_not_reach_git(source: GitSource, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = source.commit({"a": b"1"})
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    mirror = mirror_of(source)

    mirror.update()

    assert mirror.resolve("main") == sha


def test_a_repository_with_sha256_names_works_too(tmp_path: Path) -> None:
    call("git", "init", "--quiet", "--object-format=sha256", "--initial-branch=main", tmp_path / "source")
    source = GitSource.new(tmp_path / "source")
    sha = source.commit({"a": b"1"})
    mirror = mirror_of(source)
    mirror.update()

    mirror.checkout(sha, tmp_path / "tree")

    assert len(sha) == 64
    assert (tmp_path / "tree" / "a").read_bytes() == b"1"


def test_an_unknown_version_control_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        open_mirror("cvs", "/srv/a", tmp_path)
