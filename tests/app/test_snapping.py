"""A working tree as it stands, as a commit and a patch: applied elsewhere it is the same tree again."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from tests import factories

from changes.app.cli import trying_git, trying_hg, trying_tools

HG = {"HGPLAIN": "1", "HGRCPATH": "", "HGUSER": "Ann <ann@example.com>"}


def contents(folder: Path, besides: str) -> dict[str, tuple[str, bytes]]:
    """Everything but what is ignored and what belongs to the tool."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if (
            name.split("/", maxsplit=1)[0] == besides
            or name.startswith("ignored")
            or (path.is_dir() and not path.is_symlink())
        ):
            continue
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        kind = "link" if path.is_symlink() else "run" if os.access(path, os.X_OK) else "file"
        found[name] = (kind, data)
    return found


def whole(folder: Path) -> str:
    """Of every byte of a repository's own folder, its index too."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def make_dirty(folder: Path) -> None:
    """Everything that can be different: changed, new, gone, called otherwise, binary, another mode."""
    (folder / "changed").write_text("one\nTWO\nthree\n")
    (folder / "bytes").write_bytes(bytes(range(256)) * 4)
    (folder / "new folder").mkdir()
    (folder / "new folder" / "caf\u00e9 \u2713").write_text("no end of line")
    (folder / "empty").write_text("")
    (folder / "gone").unlink()
    (folder / "old name").rename(folder / "new name")
    (folder / "script").chmod(0o755)
    (folder / "ignored.log").write_text("not this")
    (folder / "a link").symlink_to("changed")
    (folder / "crlf").write_bytes(b"one\r\ntwo\r\n")


FILES = {
    "changed": "one\ntwo\nthree\n",
    "bytes": "text at first\n",
    "gone": "x\n",
    "old name": "a\nb\nc\nd\n",
    "script": "#!/bin/sh\n",
    "both": "1\n",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """With a commit that the remote has, and one more that it has not."""
    origin = tmp_path / "origin"
    factories.a_git_repository(origin, {**FILES, ".gitignore": "ignored*\n"})
    factories.git(tmp_path, "clone", "-q", str(origin), "clone")
    factories.commit(tmp_path / "clone", {"committed": "here only\n"}, "Not pushed")
    return tmp_path / "clone"


def applied(clone: Path, tmp_path: Path, snapped: trying_tools.Snapped) -> dict[str, tuple[str, bytes]]:
    there = tmp_path / "there"
    factories.git(tmp_path, "clone", "-q", str(clone.with_name("origin")), str(there))
    factories.git(there, "checkout", "-q", snapped.base)
    if snapped.patch:
        subprocess.run(
            ["git", "-C", str(there), "apply", "--binary", "-"], input=snapped.patch, check=True, timeout=60
        )
    return contents(there, ".git")


def test_a_dirty_tree_of_git_is_the_same_elsewhere(clone: Path, tmp_path: Path) -> None:
    make_dirty(clone)

    snapped = trying_git.snapped(clone, [str(clone.with_name("origin"))])

    assert snapped.base == factories.git(clone, "rev-parse", "origin/main").strip()
    assert applied(clone, tmp_path, snapped) == contents(clone, ".git")
    assert b"rename from" in snapped.patch


def test_what_is_staged_counts_as_the_tree_has_it_now(clone: Path, tmp_path: Path) -> None:
    (clone / "both").write_text("2\n")
    (clone / "staged").write_text("as staged\n")
    (clone / "staged and gone").write_text("x\n")
    factories.git(clone, "add", "both", "staged", "staged and gone")
    (clone / "both").write_text("3\n")
    (clone / "staged and gone").unlink()
    factories.git(clone, "rm", "-q", "--cached", "changed")

    snapped = trying_git.snapped(clone, [])

    assert applied(clone, tmp_path, snapped) == contents(clone, ".git")


def test_neither_tree_nor_index_nor_repository_is_touched(clone: Path) -> None:
    make_dirty(clone)
    (clone / "staged").write_text("x\n")
    factories.git(clone, "add", "staged")
    before = whole(clone)

    trying_git.snapped(clone, [])

    assert whole(clone) == before


def test_what_people_set_for_their_diffs_changes_no_patch(clone: Path, tmp_path: Path) -> None:
    for name, value in (
        ("diff.noprefix", "true"),
        ("diff.external", "false"),
        ("color.ui", "always"),
        ("core.splitIndex", "true"),
        ("core.autocrlf", "false"),
    ):
        factories.git(clone, "config", name, value)
    make_dirty(clone)

    snapped = trying_git.snapped(clone, [])

    assert applied(clone, tmp_path, snapped) == contents(clone, ".git")


def test_from_a_folder_below_the_whole_tree_is_meant(clone: Path) -> None:
    (clone / "deep" / "er").mkdir(parents=True)
    assert trying_tools.top_of(clone / "deep" / "er") == ("git", clone)


def test_a_clean_tree_that_was_pushed_needs_no_patch(clone: Path) -> None:
    factories.git(clone, "reset", "-q", "--hard", "origin/main")

    assert trying_git.snapped(clone, []).patch == b""


def test_without_a_commit_that_others_have_it_is_said_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    factories.a_git_repository(tmp_path / "alone", {"a": "1"})
    (tmp_path / "empty").mkdir()
    factories.git(tmp_path / "empty", "init", "-q")

    for name in ("alone", "empty"):
        with pytest.raises(SystemExit):
            trying_git.snapped(tmp_path / name, ["https://example.com/x.git"])

    said = capfd.readouterr().err.splitlines()
    assert said == [
        "changes: No remote branch is known here, so nothing that the server could know: git fetch.",
        "changes: There is no commit here yet, so nothing that the server could know.",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/Team/App.git",
        "https://ann@github.com/team/app/",
        "git@github.com:team/app.git",
        "ssh://git@github.com:22/team/app",
    ],
)
def test_one_repository_has_many_addresses(url: str) -> None:
    assert trying_git.same(url, "https://github.com/team/app")
    assert not trying_git.same(url, "https://github.com/team/other")


def hg(folder: Path, *arguments: str) -> bytes:
    command = ["hg", "--cwd", str(folder), *arguments]
    env = {**os.environ, **HG}
    return subprocess.run(command, check=True, env=env, capture_output=True, timeout=120).stdout


def test_a_dirty_tree_of_mercurial_is_the_same_elsewhere_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in HG.items():
        monkeypatch.setenv(name, text)
    origin, clone, there = (tmp_path / name for name in ("origin", "clone", "there"))
    origin.mkdir()
    hg(origin, "init")
    for name, text in {**FILES, ".hgignore": "^ignored\n"}.items():
        (origin / name).write_text(text)
    hg(origin, "commit", "--addremove", "--message", "First")
    hg(tmp_path, "clone", str(origin), str(clone))
    (clone / "committed").write_text("here only\n")
    hg(clone, "commit", "--addremove", "--message", "Not pushed")
    make_dirty(clone)
    before = contents(clone, ".hg")
    state = hg(clone, "status") + hg(clone, "identify")

    snapped = trying_hg.snapped(clone, str(origin))

    hg(tmp_path, "clone", "--rev", snapped.base, str(origin), str(there))
    (tmp_path / "patch").write_bytes(snapped.patch)
    hg(there, "import", "--no-commit", str(tmp_path / "patch"))
    assert contents(there, ".hg") == before == contents(clone, ".hg")
    assert hg(clone, "status") + hg(clone, "identify") == state
