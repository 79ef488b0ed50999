"""What `changes try` sends of a tree of git makes the same tree elsewhere, whatever lies in it."""

import os
import subprocess
from pathlib import Path

import pytest
from tests import factories

from changes.app.cli import trying_git

# Not UTF-8: the old name of a file of somebody with Latin-1.
OLD_NAME = os.fsdecode(b"caf\xe9.txt")
BYTES = bytes(range(256)) * 40


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A repository, and in it what is going to be changed."""
    folder = tmp_path / "base"
    factories.a_git_repository(folder, {"plain": "1\n", "script": "#!/bin/sh\n", "moved": "a\n" * 50})
    (folder / "binary").write_bytes(BYTES)
    (folder / "windows").write_bytes(b"one\r\ntwo\r\n")
    (folder / "link").symlink_to("plain")
    factories.commit(folder, {}, "More")
    return folder


@pytest.fixture
def tree(base: Path, tmp_path: Path) -> Path:
    factories.git(tmp_path, "clone", "-q", str(base), "tree")
    return tmp_path / "tree"


def be_binary(tree: Path) -> None:
    (tree / "binary").write_bytes(BYTES[::-1])
    (tree / "new.bin").write_bytes(b"\0" * 3000)


def be_executable(tree: Path) -> None:
    (tree / "script").chmod(0o755)


def be_called_otherwise(tree: Path) -> None:
    (tree / "moved").rename(tree / "moved elsewhere")
    (tree / "moved elsewhere").chmod(0o755)


def be_spaced(tree: Path) -> None:
    (tree / " two  spaces ").mkdir()
    (tree / " two  spaces " / 'a "quoted"\tname').write_text("x")
    (tree / "line\nbreak").write_text("x")


def be_no_utf_8(tree: Path) -> None:
    (tree / OLD_NAME).write_bytes("caf\xe9 au lait\n".encode("latin-1"))


def be_other_lines(tree: Path) -> None:
    (tree / "windows").write_bytes(b"one\r\ntwo\nthree")
    (tree / "empty").touch()


def be_linked_elsewhere(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("script")
    (tree / "plain").unlink()
    (tree / "plain").symlink_to("nowhere at all")


def be_a_folder(tree: Path) -> None:
    (tree / "plain").unlink()
    (tree / "plain").mkdir()
    (tree / "plain" / "inside").write_text("x")


CHANGES = [
    be_binary,
    be_executable,
    be_called_otherwise,
    be_spaced,
    be_no_utf_8,
    be_other_lines,
    be_linked_elsewhere,
    be_a_folder,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_tree_that_is_built_is_the_tree_that_stands_here(
    base: Path, tree: Path, tmp_path: Path, change: object
) -> None:
    assert callable(change)
    change(tree)

    patch = patch_of(tree, tmp_path)

    apply(base, patch)
    factories.git(tree, "add", "--all")
    assert factories.git(base, "write-tree") == factories.git(tree, "write-tree")
    assert factories.git(base, "diff", "--name-only") == ""


def test_what_is_staged_and_changed_again_is_sent_as_it_stands(
    base: Path, tree: Path, tmp_path: Path
) -> None:
    (tree / "plain").write_text("staged\n")
    factories.git(tree, "add", "plain")
    (tree / "plain").write_text("as it stands\n")
    status = factories.git(tree, "status", "--porcelain")

    apply(base, patch_of(tree, tmp_path))

    assert (base / "plain").read_text() == "as it stands\n"
    assert factories.git(tree, "status", "--porcelain") == status


def test_a_submodule_stays_as_its_base_has_it(base: Path, tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    factories.a_git_repository(other, {"inner": "1"})
    allowed = ("-c", "protocol.file.allow=always")
    factories.git(base, *allowed, "submodule", "--quiet", "add", str(other), "below")
    factories.commit(base, {}, "With a submodule")
    factories.git(tree, "pull", "-q")
    factories.git(tree, *allowed, "submodule", "--quiet", "update", "--init")
    (tree / "below" / "inner").write_text("changed")
    (tree / "plain").write_text("changed\n")

    patch = patch_of(tree, tmp_path)

    assert b"below" not in patch
    apply(base, patch)
    assert (base / "plain").read_text() == "changed\n"


def patch_of(tree: Path, tmp_path: Path) -> bytes:
    folder = tmp_path / "apart"
    folder.mkdir()
    head = factories.git(tree, "rev-parse", "HEAD").strip()
    return trying_git.difference(tree, folder, head)[0]


def apply(base: Path, patch: bytes) -> None:
    """As a machine does it."""
    words = ("git", "-C", str(base), "apply", "--index", "--binary", "--whitespace=nowarn", "-")
    subprocess.run(words, input=patch, check=True, capture_output=True)
