"""What a patch makes of one file, against what git makes of it."""

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import factories

from changes.base.errors import Invalid
from changes.projects import config_patch

NAME = ".changes.yml"
LINES = st.lists(st.sampled_from(["a", "b", "c", "", " d", "-e", "+f", "\\g", "@@ h", "--- i"]), max_size=12)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


def difference(before: str, after: str, lines: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for side, text in (("a", before), ("b", after)):
            path = Path(folder, side, NAME)
            path.parent.mkdir()
            path.write_bytes(text.encode())
        command = [
            "git",
            "diff",
            "--no-index",
            "--no-color",
            "--no-prefix",
            f"-U{lines}",
            "--",
            f"a/{NAME}",
            f"b/{NAME}",
        ]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60).stdout


@settings(max_examples=40)
@given(TEXTS, TEXTS, st.integers(0, 3))
def test_it_comes_to_what_git_comes_to(before: str, after: str, lines: int) -> None:
    diff = difference(before, after, lines)

    assert config_patch.applied(before, diff, NAME) == after


def test_only_the_part_about_this_file_counts(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    files = {NAME: "a\nb\n", f"deep/{NAME}": "a\nb\n", "x": "1\n"}
    factories.a_git_repository(folder, files)
    factories.commit(folder, {NAME: "a\nc\n", f"deep/{NAME}": "other\n", "x": "2\n", "new": "y"}, "Second")
    diff = factories.git(folder, "diff", "HEAD~1", "HEAD").encode()

    assert config_patch.applied("a\nb\n", diff, NAME) == "a\nc\n"
    assert config_patch.touches(diff, NAME)
    assert not config_patch.touches(diff, "y.yaml")


def test_a_file_that_is_made_removed_or_called_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    factories.a_git_repository(folder, {"x": "1\n"})
    factories.commit(folder, {NAME: "a\nb\n"}, "Made")
    factories.git(folder, "mv", NAME, "other.yml")
    factories.commit(folder, {}, "Called otherwise")

    made, renamed = (
        factories.git(folder, "diff", "-M", f"{rev}~1", rev).encode() for rev in ("HEAD~1", "HEAD")
    )
    removed = factories.git(folder, "diff", "-R", "HEAD~2", "HEAD~1").encode()

    assert config_patch.applied("", made, NAME) == "a\nb\n"
    assert config_patch.applied("a\nb\n", removed, NAME) == ""
    assert config_patch.applied("a\nb\n", renamed, NAME) == ""


@pytest.mark.parametrize("prefixes", [("", ""), ("a/", "b/")])
def test_a_plain_diff_with_or_without_prefixes_is_understood(prefixes: tuple[str, str]) -> None:
    before, after = prefixes
    diff = f"--- {before}{NAME}\t2026-01-01\n+++ {after}{NAME}\t2026-01-02\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"

    assert config_patch.applied("a\nb\n", diff.encode(), NAME) == "a\nc\n"


def test_lines_that_moved_meanwhile_are_found() -> None:
    diff = f"--- a/{NAME}\n+++ b/{NAME}\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n".encode()

    assert config_patch.applied("x\ny\na\nb\n", diff, NAME) == "x\ny\na\nc\n"


WRONG = [
    (b"--- a/N\n+++ b/N\n@@ -1,2 +1,2 @@\n z\n-b\n+c\n", "its part 1 fits nowhere"),
    (b"diff --git a/N b/N\nGIT binary patch\nliteral 3\n", "makes .changes.yml a binary file"),
    (b"diff --git a/x b/N\nrename from x\nrename to N\n", "makes .changes.yml of x"),
    (b"--- a/N\n+++ b/N\n@@ -1,999999999 +1 @@\n", "more than 100000 lines"),
    (b"--- a/N\n+++ b/N\n" + b"@@ -0,0 +1 @@\n+x\n" * 1001, "more than 1000 places"),
]


@pytest.mark.parametrize(("diff", "said"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_apply_is_said_in_words(diff: bytes, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        config_patch.applied("a\nb\n", diff.replace(b"N", NAME.encode()), NAME)

    assert said in refused.value.message


@given(st.binary(max_size=300), st.integers(0, 5))
def test_no_bytes_at_all_make_it_stumble(data: bytes, place: int) -> None:
    head = f"diff --git a/{NAME} b/{NAME}\n--- a/{NAME}\n+++ b/{NAME}\n@@ -1,{place} +1,2 @@\n".encode()
    with suppress(Invalid):
        config_patch.applied("a\nb\n", head + data, NAME)
