"""Code in colours, told by a process of its own, and a diff as rows to draw."""

import re
from pathlib import Path

import pytest
from pygments.lexers import find_lexer_class_by_name

from changes.base import ids
from changes.projects.models import Comment
from changes.web.pages import diffs, highlight
from changes.web.pages.highlight import Block, Piece

PATIENT_S = 120
WHOLE = diffs.Asked()
PYTHON = """\
diff --git a/x.py b/x.py
--- a/x.py
+++ b/x.py
@@ -1,3 +1,4 @@
 def one():
-    return "a"  # not yet
+    text = \"\"\"opened and
+    never closed
 other = 1
@@ -20 +21 @@
-old = 2
+new = 3
"""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine that tests this."""
    monkeypatch.setattr(highlight, "ANSWER_MAX_S", PATIENT_S)
    highlight.kinds_of.cache_clear()


def kinds(row: diffs.Row) -> dict[str, str]:
    return {piece.text.strip(): piece.kind for piece in row.pieces if piece.kind}


def drawn(text: str, asked: diffs.Asked = WHOLE) -> diffs.Drawn:
    return diffs.drawn(diffs.parse(text), asked)


def test_code_is_told_apart_by_what_it_is() -> None:
    (lines,) = highlight.coloured([Block("python", ["def one(): # why", "    return 'a', 12"])])

    told = {piece.text.strip(): piece.kind for line in lines for piece in line if piece.kind}
    assert told == {
        "def": "keyword",
        "one": "name",
        "# why": "comment",
        "return": "keyword",
        "'a'": "string",
        "12": "number",
    }


def test_every_line_keeps_all_its_text() -> None:
    odd = ["\tx = 'never closed", "", "  \r", "<b>&amp;</b>", "\N{LATIN SMALL LETTER E WITH ACUTE}\0\u2028!"]

    for language in sorted({*highlight.BY_NAME.values(), *highlight.BY_SUFFIX.values()} & {"python", "html"}):
        (lines,) = highlight.coloured([Block(language, odd)])
        assert ["".join(piece.text for piece in line) for line in lines] == odd


def test_every_language_is_known_to_who_reads_it() -> None:
    languages = {*highlight.BY_NAME.values(), *highlight.BY_SUFFIX.values()}

    assert {name for name in languages if find_lexer_class_by_name(name) is None} == set()


@pytest.mark.parametrize(
    ("path", "language"),
    [("a/b.py", "python"), ("Makefile", "make"), ("x.TSX", "typescript"), ("LICENSE", ""), ("py", "python")],
)
def test_a_language_is_told_by_the_name_of_the_file(path: str, language: str) -> None:
    assert highlight.language_of(path) == language


@pytest.mark.parametrize("lines", [["x" * 5001, "def one():"], ["y" * 4000] * 260])
def test_what_is_too_much_stays_plain(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlight, "kinds_of", pytest.fail)

    assert highlight.coloured([Block("python", lines)]) == [[[Piece(line)] for line in lines]]


def test_code_whose_reader_fails_stays_plain_and_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    program = tmp_path / "fails.py"
    program.write_text(f"open({str(runs)!r}, 'a').write('x'); raise SystemExit(1)")
    monkeypatch.setattr(highlight, "PROGRAM", program)

    answers = [highlight.coloured([Block("python", ["def one():"])]) for _ in range(2)]

    assert answers == [[[[Piece("def one():")]]]] * 2
    assert runs.read_text() == "x"


def test_code_whose_reader_takes_too_long_stays_plain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "waits.py"
    program.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(highlight, "PROGRAM", program)
    monkeypatch.setattr(highlight, "ANSWER_MAX_S", 0.01)

    assert highlight.coloured([Block("python", ["def one():"])]) == [[[Piece("def one():")]]]


def test_both_sides_of_a_hunk_are_read_each_by_itself() -> None:
    (file,) = drawn(PYTHON).files

    _, opened, removed, added, _, _, _, old, new = file.rows
    assert kinds(opened)["def"] == "keyword"
    assert kinds(removed) == {"return": "keyword", '"a"': "string", "# not yet": "comment"}
    assert "string" in kinds(added).values()
    # What the first hunk left open ends with it.
    assert (kinds(old), kinds(new)) == ({"2": "number"}, {"3": "number"})


def test_what_nobody_sees_is_named() -> None:
    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\r\n+if admin\u202e # ok\n"

    (file,) = drawn(text).files

    assert [piece.text for row in file.rows for piece in row.pieces if piece.kind == "unseen"] == [
        "CR",
        "U+202E",
    ]


def test_a_line_that_is_a_whole_program_ends_somewhere() -> None:
    (file,) = drawn(f"--- a/x.js\n+++ b/x.js\n@@ -0,0 +1 @@\n+{'a' * 3_000_000}\n").files

    pieces = file.rows[1].pieces
    assert sum(len(piece.text) for piece in pieces) < diffs.SHOWN_MAX_CHARS + 100
    assert pieces[-1].text == " 2,998,000 more characters"


def test_a_long_diff_comes_in_parts_that_leave_nothing_out() -> None:
    rows = "".join(f"+{number}\n" for number in range(2000))
    text = "".join(f"--- a/{name}\n+++ b/{name}\n@@ -0,0 +1,2000 @@\n{rows}" for name in "xyz")

    parts = [drawn(text, diffs.Asked(number)) for number in range(1, 6)]

    assert [part.part_count for part in parts] == [5] * 5
    rows_shown = [row for part in parts[:5] for file in part.files for row in file.rows]
    assert len(rows_shown) == 3 * 2001
    assert [file.file.path for file in parts[1].files] == ["x", "y"]
    # Of the whole file, whichever part of it is shown.
    assert {file.file.added for part in parts for file in part.files} == {2000}


@pytest.mark.parametrize(("part", "shown"), [(0, 1), (99, 1)])
def test_a_part_that_is_not_there_is_the_nearest(part: int, shown: int) -> None:
    assert drawn(PYTHON, diffs.Asked(part)).part == shown


def test_files_without_a_line_are_shown_once() -> None:
    renamed = "diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n"
    mode = "diff --git a/run b/run\n"

    assert [each.file.path for each in drawn(mode + renamed + mode).files] == ["run", "new", "run"]


def test_a_comment_stands_beside_its_line_and_the_form_beside_the_one_asked_for() -> None:
    comment = Comment(id=ids.new(), path="x.py", line=2, text="why?")
    elsewhere = Comment(id=ids.new(), path="x.py", line=500, text="gone")

    shown = drawn(PYTHON, diffs.Asked(said=[comment, elsewhere], place=("x.py", 21)))

    (file,) = shown.files
    assert [row.new for row in file.rows if row.said] == [2]
    assert [row.new for row in file.rows if row.is_asked] == [21]
    assert (shown.has_asked, shown.beside) == (True, frozenset([comment.id]))


def test_each_kind_has_a_colour_of_its_own() -> None:
    folder = Path(highlight.__file__).parents[1] / "assets"
    styled = set(
        re.findall(r"\.code-([a-z]+) { color: var\(--code-", (folder / "components/code.css").read_text())
    )

    assert styled == highlight.KINDS
