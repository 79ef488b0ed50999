"""Lines of a log as rows: colours that go on, headings, what is looked for, times."""

import pytest

from changes.results import log_finding
from changes.results.log_finding import Wanted
from changes.results.log_reading import Line
from changes.web.pages import log_rows
from changes.web.pages.ansi import Piece
from changes.web.pages.log_rows import Manner, Row

PLAIN = Manner()
BEGAN_MS = 1_763_726_400_000


def some_lines(*texts: bytes, first: int = 1, times: tuple[int | None, ...] = ()) -> list[Line]:
    told = [*times, *[None] * len(texts)]
    return [
        Line(number, 0, text, len(text), told[number - first]) for number, text in enumerate(texts, first)
    ]


def drawn(*texts: bytes, manner: Manner = PLAIN) -> list[Row]:
    return log_rows.rows(some_lines(*texts), 1, len(texts), manner)


def said(row: Row) -> str:
    return "".join(piece.text for piece in row.pieces)


def test_only_the_rows_that_are_wanted_are_drawn_in_the_colour_that_goes_on() -> None:
    lines = some_lines(b"\x1b[31mone", b"two", b"three", b"four")

    rows = log_rows.rows(lines, 2, 3, PLAIN)

    assert [(row.number, row.pieces) for row in rows] == [
        (2, [Piece("two", "ansi-1")]),
        (3, [Piece("three", "ansi-1")]),
    ]


def test_a_heading_is_drawn_without_what_marks_it() -> None:
    rows = drawn(b"::group::Install \x1b[32mall\x1b[0m", b"x", b"::endgroup::")

    assert [(row.kind, said(row)) for row in rows] == [
        ("head", "Install all"),
        ("", "x"),
        ("end", "::endgroup::"),
    ]


def test_the_line_after_the_last_tells_that_it_is_no_heading() -> None:
    lines = some_lines(b"text", b"--- old.txt", b"+++ new.txt")

    assert [row.kind for row in log_rows.rows(lines, 1, 2, PLAIN)] == ["", ""]


def test_what_is_missing_and_what_was_left_out_look_like_holes() -> None:
    lost = Line(1, 0, b"[4,096 bytes of this log are missing]", 4096, is_missing=True)
    left_out = Line(2, 4096, b"[1,234,567 bytes were left out here.]", 40)

    assert [row.kind for row in log_rows.rows([lost, left_out], 1, 2, PLAIN)] == ["hole", "hole"]


def test_a_long_line_says_how_much_of_it_is_not_shown() -> None:
    stored = Line(1, 0, b"x" * 16_384, 1_000_000)

    [cut] = log_rows.rows([stored], 1, 1, PLAIN)
    [long] = drawn(b"x" * 3000)

    assert (len(said(cut)), cut.left_out) == (2000, "998,000 more bytes")
    assert long.left_out == "1,000 more characters"


def test_lines_that_tell_of_errors_are_marked() -> None:
    assert [row.is_wrong for row in drawn(b"one", b"two", manner=Manner(wrong={2}))] == [False, True]


# --- what is looked for --------------------------------------------------------------------


def looking_for(pattern: str, *, is_regex: bool = False) -> Manner:
    return Manner(sought=log_finding.compiled(Wanted(pattern, is_regex=is_regex, ignore_case=True)))


def test_what_is_looked_for_is_found_across_colours() -> None:
    [row] = drawn(
        "caf\N{LATIN SMALL LETTER E WITH ACUTE} \x1b[31mER\x1b[0mROR!".encode(), manner=looking_for("error")
    )

    assert row.pieces == [
        Piece("caf\N{LATIN SMALL LETTER E WITH ACUTE} "),
        Piece("ER", "ansi-1 log-match"),
        Piece("ROR", "log-match"),
        Piece("!"),
    ]


@pytest.mark.parametrize("pattern", ["x*", "^", "$", r"\b", "(?i)é|x"])
def test_no_pattern_is_too_odd_to_be_shown(pattern: str) -> None:
    rows = drawn(b"x" * 5000, b"", b"\xff\xfe x", manner=looking_for(pattern, is_regex=True))

    assert [said(row)[:3] for row in rows] == ["xxx", "", "\\xf"]


# --- times ---------------------------------------------------------------------------------

MOMENTS = (BEGAN_MS + 200, BEGAN_MS + 230, None, BEGAN_MS + 65_400, BEGAN_MS + 7_265_400)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ("", ["", "", "", "", ""]),
        ("start", ["0:00.2", "0:00.2", "0:00.2", "1:05.4", "2:01:05"]),
        ("line", ["", "", "", "+1:05", "+120:00"]),
        ("clock", ["12:00:00", "12:00:00", "12:00:00", "12:01:05", "14:01:05"]),
    ],
)
def test_times_are_told_in_the_way_that_was_chosen(times: str, words: list[str]) -> None:
    lines = some_lines(b"a", b"b", b"c", b"d", b"e", times=MOMENTS)

    rows = log_rows.rows(lines, 1, 5, Manner(began_ms=BEGAN_MS, times=times))

    assert [row.time for row in rows] == words


def test_the_time_since_the_line_before_is_known_at_the_edge_of_a_part() -> None:
    lines = some_lines(b"a", b"b", times=(BEGAN_MS, BEGAN_MS + 2500))

    [row] = log_rows.rows(lines, 2, 2, Manner(began_ms=BEGAN_MS, times="line"))

    assert (row.time, row.at_ms, row.since_ms) == ("+2.5 s", 2500, 2500)


def test_a_clock_that_goes_back_makes_no_time_negative() -> None:
    lines = some_lines(b"a", b"b", times=(BEGAN_MS - 5000, BEGAN_MS - 9000))

    rows = log_rows.rows(lines, 1, 2, Manner(began_ms=BEGAN_MS, times="start"))

    assert [(row.at_ms, row.since_ms) for row in rows] == [(0, 0), (0, 0)]


def test_without_times_none_are_told() -> None:
    assert [row.at_ms for row in drawn(b"one", b"two", manner=Manner(times="start"))] == [None, None]
