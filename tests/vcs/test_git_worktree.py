"""Work trees of git: clean, apart from the mirror, and patched."""

import shutil
from pathlib import Path

import pytest
from tests.vcs.sources import GitSource, call, write

from changes.vcs.errors import BadName, PatchDoesNotApply, UnknownRevision, VcsError
from changes.vcs.open import open_mirror


class Setting:
    """A source of two commits, its mirror, and where the work tree will be."""

    def __init__(self, folder: Path) -> None:
        self.source = GitSource(folder / "source")
        self.sha = self.source.git("rev-parse", "HEAD")
        # A comma and a quote, as a folder may have them.
        self.mirror = open_mirror("git", str(self.source.path), folder / 'mirror "1", new')
        self.tree = folder / "tree"

    def git(self, *arguments: str) -> str:
        return call("git", "-C", self.tree, *arguments)

    def patch_to(self, files: dict[str, bytes]) -> bytes:
        """The diff that a commit of these files on top of `sha` is."""
        return self.mirror.diff(self.mirror.fetch(self.source.commit(files)), base=self.sha)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    source = GitSource.new(folder / "source")
    source.commit({"a": b"1\n2\n3\n", "folder/ü b": b"x\n", "tool": b"#!/bin/sh\n"})
    source.git("tag", "v1")
    source.commit({"a": b"1\nzwei\n3\n", "picture": b"\0\1\2"})
    Setting(folder).mirror.update()
    return folder


@pytest.fixture
def setting(template: Path, tmp_path: Path) -> Setting:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Setting(tmp_path)


def test_a_checkout_is_clean_and_stands_at_the_revision(setting: Setting) -> None:
    setting.mirror.checkout(setting.sha, setting.tree)

    assert (setting.tree / "a").read_bytes() == b"1\nzwei\n3\n"
    assert (setting.tree / "folder" / "ü b").read_bytes() == b"x\n"
    assert setting.git("status", "--porcelain") == ""
    assert setting.git("rev-parse", "HEAD") == setting.sha
    assert setting.git("fsck") == ""


def test_log_describe_and_branches_work_in_a_checkout(setting: Setting) -> None:
    setting.mirror.checkout(setting.sha, setting.tree)

    assert len(setting.git("log", "--oneline").splitlines()) == 2
    assert setting.git("describe", "--tags").startswith("v1-1-g")
    assert setting.git("rev-parse", "origin/main") == setting.sha


def test_a_checkout_may_go_into_an_empty_folder_only(setting: Setting) -> None:
    setting.tree.mkdir()
    setting.mirror.checkout(setting.sha, setting.tree)

    with pytest.raises(VcsError, match="not empty"):
        setting.mirror.checkout(setting.sha, setting.tree)


def test_after_a_failed_checkout_one_may_fetch_and_try_again(setting: Setting) -> None:
    newer = setting.source.commit({"a": b"4\n"})
    with pytest.raises(UnknownRevision):
        setting.mirror.checkout(newer, setting.tree)

    setting.mirror.fetch(newer)
    setting.mirror.checkout(newer, setting.tree)

    assert (setting.tree / "a").read_bytes() == b"4\n"


def test_a_checkout_takes_a_full_sha_only(setting: Setting) -> None:
    with pytest.raises(BadName):
        setting.mirror.checkout("main", setting.tree)


def test_what_a_step_commits_does_not_reach_the_mirror(setting: Setting) -> None:
    setting.mirror.checkout(setting.sha, setting.tree)
    before = setting.mirror.branches()

    write(setting.tree, {"a": b"mine"})
    setting.git("commit", "--quiet", "--all", "--message", "Mine")
    setting.git("branch", "--force", "main")

    assert not setting.mirror.has(setting.git("rev-parse", "HEAD"))
    assert setting.mirror.branches() == before


def test_a_checkout_does_not_know_the_password(setting: Setting) -> None:
    url = "https://zoe:hunter2@example.com/a.git"
    mirror = open_mirror("git", url, setting.mirror.path)

    mirror.checkout(setting.sha, setting.tree)

    assert setting.git("remote", "get-url", "origin") == "https://example.com/a.git"
    assert "hunter2" not in (setting.tree / ".git" / "config").read_text()


def test_submodules_and_filters_of_a_stranger_do_nothing(setting: Setting, tmp_path: Path) -> None:
    setting.source.commit(
        {
            ".gitmodules": b'[submodule "sub"]\npath = sub\nurl = ext::touch ran\nupdate = !touch ran\n',
            ".gitattributes": b"* filter=evil diff=evil\n",
        }
    )
    setting.source.git("update-index", "--add", "--cacheinfo", f"160000,{setting.sha},sub")
    setting.source.git("commit", "--quiet", "--message", "Submodule")
    setting.mirror.update()

    setting.mirror.checkout(setting.mirror.resolve("main"), setting.tree)

    assert list((setting.tree / "sub").iterdir()) == []
    assert not list(tmp_path.rglob("ran"))


def test_a_patch_is_applied_and_committed(setting: Setting) -> None:
    diff = setting.patch_to({"a": b"eins\nzwei\n3\n", "neu/ß.txt": b"new\n", "picture": b"\3\0\xff" * 50})
    setting.mirror.checkout(setting.sha, setting.tree)

    setting.mirror.apply_patch(setting.tree, diff)

    assert (setting.tree / "a").read_bytes() == b"eins\nzwei\n3\n"
    assert (setting.tree / "neu" / "ß.txt").read_bytes() == b"new\n"
    assert (setting.tree / "picture").read_bytes() == b"\3\0\xff" * 50
    assert setting.git("status", "--porcelain") == ""
    assert (
        setting.git("log", "-1", "--format=%an <%ae> %s")
        == "Patch applier <patch@changes.invalid> Diff build"
    )
    assert setting.git("rev-parse", "HEAD~1") == setting.sha


def test_a_patch_may_rename_delete_and_make_executable(setting: Setting) -> None:
    setting.source.git("mv", "a", "b")
    setting.source.git("rm", "--quiet", "folder/ü b")
    (setting.source.path / "tool").chmod(0o755)
    diff = setting.patch_to({})
    setting.mirror.checkout(setting.sha, setting.tree)

    setting.mirror.apply_patch(setting.tree, diff)

    assert b"rename from a" in diff
    assert sorted(path.name for path in setting.tree.iterdir()) == [".git", "b", "picture", "tool"]
    assert (setting.tree / "tool").stat().st_mode & 0o111


def test_a_patch_that_does_not_fit_changes_nothing_and_says_where(setting: Setting) -> None:
    diff = setting.patch_to({"a": b"1\nzwei\ndrei\n"}).replace(b"-3\n", b"-4\n")
    setting.mirror.checkout(setting.sha, setting.tree)

    with pytest.raises(PatchDoesNotApply, match="a: patch does not apply"):
        setting.mirror.apply_patch(setting.tree, diff)

    assert setting.git("status", "--porcelain") == ""
    assert setting.git("rev-parse", "HEAD") == setting.sha


@pytest.mark.parametrize("diff", [b"", b"this is no diff\n", b"\0\xff"])
def test_what_is_no_patch_does_not_apply(setting: Setting, diff: bytes) -> None:
    setting.mirror.checkout(setting.sha, setting.tree)

    with pytest.raises(PatchDoesNotApply):
        setting.mirror.apply_patch(setting.tree, diff)


@pytest.mark.parametrize("target", ["../escaped", ".git/hooks/post-commit", "link/escaped"])
def test_a_patch_cannot_write_outside_its_tree(setting: Setting, tmp_path: Path, target: str) -> None:
    (setting.source.path / "link").symlink_to(tmp_path)
    sha = setting.mirror.fetch(setting.source.commit({}))
    setting.mirror.checkout(sha, setting.tree)
    diff = (
        f"diff --git a/{target} b/{target}\nnew file mode 100644\n"
        f"--- /dev/null\n+++ b/{target}\n@@ -0,0 +1 @@\n+out\n"
    )

    with pytest.raises(PatchDoesNotApply):
        setting.mirror.apply_patch(setting.tree, diff.encode())

    assert not list(tmp_path.rglob("escaped"))
    assert not (setting.tree / ".git" / "hooks").exists()
