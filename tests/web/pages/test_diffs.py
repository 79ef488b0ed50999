from hypothesis import given
from hypothesis import strategies as st

from changes.web.pages import diffs

TWO_FILES = """\
diff --git a/one.py b/one.py
index 1111111..2222222 100644
--- a/one.py
+++ b/one.py
@@ -1,3 +1,3 @@ def one():
 same
-old
+new
 end
\\ No newline at end of file
diff --git a/two.py b/three.py
similarity index 100%
rename from two.py
rename to three.py
"""


def test_lines_carry_the_numbers_of_both_files() -> None:
    one, _ = diffs.parse(TWO_FILES)

    assert [(line.kind, line.old, line.new) for line in one.lines] == [
        ("hunk", None, None),
        ("same", 1, 1),
        ("removed", 2, None),
        ("added", None, 2),
        ("same", 3, 3),
        ("note", None, None),
    ]
    assert (one.added, one.removed) == (1, 1)


def test_a_rename_is_told() -> None:
    _, two = diffs.parse(TWO_FILES)

    assert two.path == "three.py"
    assert "rename from two.py" in [line.text for line in two.lines]


def test_a_removed_line_that_looks_like_a_head_stays_a_line() -> None:
    (file,) = diffs.parse("--- a/query.sql\n+++ b/query.sql\n@@ -1,2 +1 @@\n--- a comment\n select 1\n")

    assert [(line.kind, line.text) for line in file.lines[1:]] == [
        ("removed", "-- a comment"),
        ("same", "select 1"),
    ]


def test_files_without_a_diff_line_are_told_apart() -> None:
    plain = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"

    assert [file.path for file in diffs.parse(plain)] == ["x", "y"]


def test_mercurial_names_its_files_too() -> None:
    text = (
        "diff -r 0123456789ab docs/read me.txt\n--- a/docs/read me.txt\tThu Jan 01 1970\n"
        "+++ b/docs/read me.txt\tThu Jan 01 1970\n@@ -0,0 +1,1 @@\n+x\n"
    )

    (file,) = diffs.parse(text)

    assert (file.path, file.added) == ("docs/read me.txt", 1)


@given(st.text(alphabet="+-@ \\ab\n,1/dif"))
def test_no_text_is_too_broken_to_be_shown(text: str) -> None:
    for file in diffs.parse("--- a/x\n+++ b/x\n" + text):
        assert file.added >= 0
