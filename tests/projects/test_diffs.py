"""Diffs of every kind, read without believing any of it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests import factories

from changes.projects import diffs, interdiff
from changes.vcs.open import open_mirror

ROW = st.text(alphabet="ab \r\t+-\\@\x0b\u2028\N{LATIN SMALL LETTER E WITH ACUTE}", max_size=6)
ROWS = st.lists(ROW, max_size=12)
LARGE_LINES = 200_000


def a_diff(before: list[str], after: list[str], path: str = "a") -> str:
    """All of one file replaced by all of another."""
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    hunk = f"@@ -1,{len(before)} +1,{len(after)} @@\n"
    return head + hunk + "".join(f"-{row}\n" for row in before) + "".join(f"+{row}\n" for row in after)


@given(ROWS, ROWS)
def test_every_line_is_read_as_what_it_is(before: list[str], after: list[str]) -> None:
    (file,) = diffs.parse(a_diff(before, after))

    assert [line.text for line in file.lines if line.kind == "removed"] == before
    assert [line.text for line in file.lines if line.kind == "added"] == after
    assert diffs.added_lines([file]) == {"a": set(range(1, len(after) + 1))}


@given(st.binary(max_size=400))
def test_no_bytes_are_too_broken_to_be_read(garbage: bytes) -> None:
    figures = diffs.figures(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n" + garbage)

    assert figures.files >= 1


@given(ROWS, ROWS, ROWS)
def test_two_versions_that_are_equal_differ_in_nothing(
    one: list[str], two: list[str], three: list[str]
) -> None:
    old = diffs.parse(a_diff(one, two) + a_diff(two, three, "b"))

    assert interdiff.between(old, diffs.parse(a_diff(two, three, "b") + a_diff(one, two))) == []


def test_what_a_later_version_takes_back_and_adds_is_told() -> None:
    old, new = (diffs.parse(a_diff(["x"], after)) for after in (["1", "2"], ["1", "3"]))

    (file,) = interdiff.between(old, new)

    told = [(line.kind, line.text) for line in file.lines if line.kind != "same"]
    assert told == [("removed", "2"), ("added", "3")]


def test_a_file_only_one_version_touches_is_told() -> None:
    both = diffs.parse(a_diff([], ["1"]) + a_diff([], ["1"], "b"))
    one = diffs.parse(a_diff([], ["1"]))

    assert [file.path for file in interdiff.between(one, both)] == ["b"]
    assert [file.lines[0].text for file in interdiff.between(both, one)] == [interdiff.GONE]


def test_a_file_that_is_very_long_is_not_compared_line_by_line() -> None:
    old, new = (diffs.parse(a_diff([], [word] * (interdiff.LINES_MAX + 1))) for word in "ab")

    (file,) = interdiff.between(old, new)

    assert [line.text for line in file.lines] == [interdiff.TOO_LONG]


def test_git_says_what_it_renames_removes_and_makes(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    rows = "".join(f"{number}\n" for number in range(20))
    factories.a_git_repository(folder, {"old": rows, "gone": "x\n", "crlf": "a\r\nb\r\n"})
    (folder / "old").rename(folder / "n\N{LATIN SMALL LETTER E WITH ACUTE}w")
    (folder / "gone").unlink()
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "crlf").write_bytes(b"a\r\nc\r\nno newline")
    sha = factories.commit(folder, {}, "All of it")
    mirror = open_mirror("git", str(folder), tmp_path / "mirror")
    mirror.update()

    files = {file.path: file for file in diffs.parse(diffs.text_of(mirror.diff(sha)))}

    assert set(files) == {"n\N{LATIN SMALL LETTER E WITH ACUTE}w", "gone", "binary", "crlf"}
    assert files["gone"].is_gone
    assert (files["binary"].is_binary, files["binary"].is_new) == (True, True)
    assert files["n\N{LATIN SMALL LETTER E WITH ACUTE}w"].is_renamed
    assert [line.text for line in files["crlf"].lines if line.kind == "added"] == ["c\r", "no newline"]


def test_a_commit_has_the_fingerprint_of_the_patch_it_came_from(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    factories.a_git_repository(folder, {"a": "1\n2\n3\n"})
    (folder / "a").write_text("1\ntwo\n3\n")
    patch = factories.git(folder, "diff").encode()
    factories.git(folder, "checkout", "-q", "a")
    factories.commit(folder, {"a": "0\n0\n1\n2\n3\n"}, "Something else before")
    sha = factories.commit(folder, {"a": "0\n0\n1\ntwo\n3\n"}, "The change, rebased")
    mirror = open_mirror("git", str(folder), tmp_path / "mirror")
    mirror.update()

    prints = [diffs.figures(diff).fingerprint for diff in (patch, mirror.diff(sha))]

    assert prints[0] == prints[1] != ""


def test_a_diff_of_ten_megabytes_is_read() -> None:
    row = "x" * 48

    figures = diffs.figures(a_diff([], [row] * LARGE_LINES).encode())

    assert (figures.files, figures.added) == (1, LARGE_LINES)
