"""Which of the lines that a change adds ran, and files as patches leave them."""

import pytest
from tests.results.coverage.reports import marked

from changes.projects import diffs, patched
from changes.results.coverage import patch
from changes.results.coverage.sources import Added
from changes.results.formats.line_marks import Marks

A_DIFF = """diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,4 @@ def f():
 one
-two
+zwei
+drei
 three
@@ -20,2 +21,4 @@ def g():
 twenty
+new
+newer
 last
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-nothing
diff --git a/docs.md b/docs.md
--- a/docs.md
+++ b/docs.md
@@ -1 +1,2 @@
 words
+more words
"""


def added(text: str) -> Added:
    return Added(diffs.parse(text))


def judged(text: str, marks: dict[str, Marks]) -> patch.PatchCoverage:
    change = added(text)
    return patch.of_patch(change.files, change.lines, marks)


def test_only_lines_that_a_change_adds_are_judged() -> None:
    found = judged(A_DIFF, {"src/a.py": marked("UCUU" + "U" * 17 + "CPU")})

    assert (found.covered, found.uncovered, found.file_count) == (2, 2, 1)
    assert [(file.path, file.covered, file.uncovered, file.partial) for file in found.files] == [
        ("src/a.py", 2, 2, 1)
    ]


def test_gaps_are_shown_with_the_lines_around_them() -> None:
    found = judged(A_DIFF, {"src/a.py": marked("UCUU" + "U" * 17 + "CPU")})

    assert [(gap.first, gap.last, [line.text for line in gap.lines]) for gap in found.gaps] == [
        (3, 3, ["one", "zwei", "drei", "three"]),
        (23, 23, ["twenty", "new", "newer", "last"]),
    ]


def test_gaps_that_are_hardly_apart_are_one_and_long_ones_are_cut() -> None:
    lines = "".join(f"+line {number}\n" for number in range(1, 41))
    diff = f"--- /dev/null\n+++ b/a.py\n@@ -0,0 +1,40 @@\n{lines}"

    found = judged(diff, {"a.py": marked("U" * 10 + "CCC" + "U" + "C" * 20 + "U")})

    assert [(gap.first, gap.last, len(gap.lines), gap.left_out) for gap in found.gaps] == [
        (1, 14, 12, 4),
        (35, 35, 5, 0),
    ]


def test_files_that_no_report_tells_of_are_not_judged() -> None:
    assert judged(A_DIFF, {}) == patch.PatchCoverage()


def test_those_with_most_uncovered_lines_come_first() -> None:
    diff = A_DIFF.replace("docs.md", "a.py")

    found = judged(diff, {"a.py": marked("UC"), "src/a.py": marked("UUUU")})

    assert [file.path for file in found.files] == ["src/a.py", "a.py"]


def test_each_added_line_has_a_letter_in_the_order_of_the_diff() -> None:
    marks = {"src/a.py": marked("UCUU" + "N" * 17 + "NP")}

    assert patch.codes_of_added(diffs.parse(A_DIFF), marks) == ["C", "U", "N", "U", "N"]


def test_what_is_kept_reads_as_what_was_found() -> None:
    found = judged(A_DIFF, {"src/a.py": marked("UCUU" + "U" * 17 + "CPU")})

    assert patch.thawed(patch.frozen(found)) == found
    assert patch.thawed({}) == patch.PatchCoverage()


def test_what_cannot_be_stored_is_replaced() -> None:
    diff = "--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+a\0b\n"

    (gap,) = judged(diff, {"a.py": marked("U")}).gaps

    assert gap.lines[0].text == "a\N{REPLACEMENT CHARACTER}b"


# --- a file as a patch leaves it ----------------------------------------------------------

BEFORE = ["one", "two", "three", *(str(number) for number in range(4, 20)), "twenty", "last"]


def test_a_file_is_told_as_a_patch_leaves_it() -> None:
    after = patched.lines_after(BEFORE, diffs.parse(A_DIFF)[0])

    assert after is not None
    assert after[:5] == ["one", "zwei", "drei", "three", "4"]
    assert after[-4:] == ["twenty", "new", "newer", "last"]
    assert len(after) == len(BEFORE) + 3


def test_a_patch_without_any_lines_around_it_is_understood() -> None:
    diff = "--- a/a\n+++ b/a\n@@ -1,0 +2 @@\n+between\n@@ -3 +3,0 @@\n-three\n"

    assert patched.lines_after(["one", "two", "three", "four"], diffs.parse(diff)[0]) == [
        "one",
        "between",
        "two",
        "four",
    ]


@pytest.mark.parametrize("before", [[], ["other"] * 30, ["one", "two"]])
def test_a_patch_of_another_text_is_not_put_on_it(before: list[str]) -> None:
    assert patched.lines_after(before, diffs.parse(A_DIFF)[0]) is None


def test_a_new_file_is_all_that_its_patch_adds() -> None:
    diff = "--- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+one\n+two\n"

    assert patched.lines_after([], diffs.parse(diff)[0]) == ["one", "two"]
