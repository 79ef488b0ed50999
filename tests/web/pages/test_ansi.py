"""Colours of a terminal as classes, and nothing else of what it would obey."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.web.pages import ansi
from changes.web.pages.ansi import Piece


def shown(raw: str) -> list[tuple[str, str]]:
    return [(piece.text, piece.classes) for piece in ansi.lines([raw])[0]]


@pytest.mark.parametrize(
    ("raw", "pieces"),
    [
        ("plain", [("plain", "")]),
        ("\x1b[31mred\x1b[0m not", [("red", "ansi-1"), (" not", "")]),
        ("\x1b[1;92mloud\x1b[m", [("loud", "ansi-10 ansi-bold")]),
        ("\x1b[1mbold\x1b[22mthin", [("bold", "ansi-bold"), ("thin", "")]),
        ("\x1b[34mblue\x1b[39mplain", [("blue", "ansi-4"), ("plain", "")]),
        ("\x1b[4;3munderlined", [("underlined", "")]),
        ("\x1b[38;5;200mpink\x1b[32mgreen", [("pink", ""), ("green", "ansi-2")]),
        ("\x1b[48;2;1;2;3;33mon a ground", [("on a ground", "ansi-3")]),
        ("\x1b]8;;http://bad.example\x07link\x1b]8;;\x07", [("link", "")]),
        ("\x1b[2K\x1b[1Gcursor", [("cursor", "")]),
        ("bell\x07 and\ttab", [("bell and\ttab", "")]),
        ("\x1b[31m10 %\r50 %\r\x1b[32m100 %\r", [("100 %", "ansi-2")]),
        ("x" * 3000, [("x" * 2000 + "…", "")]),
    ],
)
def test_a_line_is_shown_as_a_terminal_ends_up_with_it(raw: str, pieces: list[tuple[str, str]]) -> None:
    assert shown(raw) == pieces


def test_a_colour_goes_on_from_line_to_line() -> None:
    assert ansi.lines(["\x1b[31mone", "two", "\x1b[0mthree"]) == [
        [Piece("one", "ansi-1")],
        [Piece("two", "ansi-1")],
        [Piece("three", "")],
    ]


def test_a_line_of_very_many_colours_has_an_end() -> None:
    line = ansi.lines(["".join(f"\x1b[{31 + number % 2}mx" for number in range(5000))])[0]

    assert len(line) == ansi.PIECES_MAX


@given(st.text(alphabet="\x1b[]0123456789;:mK\x07\r <>&ab", max_size=60))
def test_nothing_that_is_printed_becomes_more_than_text_and_our_classes(raw: str) -> None:
    for text, classes in shown(raw):
        assert "\x1b" not in text
        assert all(name.startswith("ansi-") for name in classes.split())
