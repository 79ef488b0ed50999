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
        ("\x1b[4;3munder\x1b[24mlined", [("under", "ansi-italic ansi-underline"), ("lined", "ansi-italic")]),
        ("\x1b[2mdim\x1b[22mplain", [("dim", "ansi-dim"), ("plain", "")]),
        ("\x1b[2;31mdim red", [("dim red", "ansi-1")]),
        ("\x1b[4:3mcurly\x1b[4:0m not", [("curly", "ansi-underline"), (" not", "")]),
        ("\x1b[9mgone\x1b[29m", [("gone", "ansi-strike")]),
        ("\x1b[38;5;9mred", [("red", "ansi-9")]),
        ("\x1b[38;5;200mpink\x1b[32mgreen", [("pink", "ansi-hue-23"), ("green", "ansi-2")]),
        ("\x1b[38;2;255;128;0morange", [("orange", "ansi-hue-4")]),
        ("\x1b[38:2::255:128:0morange", [("orange", "ansi-hue-4")]),
        ("\x1b[38;5;250mgrey\x1b[38;5;16mblack", [("grey", "ansi-7"), ("black", "ansi-0")]),
        ("\x1b[48;2;1;2;3;33mon a ground", [("on a ground", "ansi-3 ansi-on-grey")]),
        ("\x1b[97;41mwhite on red\x1b[49m", [("white on red", "ansi-15 ansi-on-hue-2")]),
        ("\x1b[7mreverse \x1b[31mred", [("reverse ", "ansi-reverse"), ("red", "ansi-on-hue-2")]),
        ("\x1b[38;5mcut \x1b[38;2;1mshort", [("cut short", "")]),
        ("\x1b[8mconcealed\x1b[5m and blinking", [("concealed and blinking", "")]),
        ("\x1b]8;;http://bad.example\x07link\x1b]8;;\x07", [("link", "")]),
        ("\x1b]0;a title\x1b\\\x1bPq#0;2\x1b\\\x1b_Gf=24;AAAA\x1b\\picture", [("picture", "")]),
        ("\x1b(B\x1b[m\x0fplain\x1b=\x1b7", [("plain", "")]),
        ("\x1b[2K\x1b[1Gcursor", [("cursor", "")]),
        ("\x1b[5A\x1b[10;20Hup \x1b[3Cand away", [("up and away", "")]),
        ("bell\x07 and\ttab", [("bell and\ttab", "")]),
        ("\x1b[31m10 %\r50 %\r\x1b[32m100 %\r", [("100 %", "ansi-2")]),
        ("\x1b[31mabcdef\r\x1b[32mXY", [("XY", "ansi-2"), ("cdef", "ansi-1")]),
        ("100 of 1000\r\x1b[Kdone", [("done", "")]),
        ("busy |\b/\b-\bdone", [("busy done", "")]),
        ("50 %\r", [("50 %", "")]),
    ],
)
def test_a_line_is_shown_as_a_terminal_ends_up_with_it(raw: str, pieces: list[tuple[str, str]]) -> None:
    assert shown(raw) == pieces


@pytest.mark.parametrize(
    ("raw", "pieces"),
    [
        ("pay\u202e4321", [("pay", ""), ("U+202E", "code-unseen"), ("4321", "")]),
        ("a\u200bb", [("a", ""), ("U+200B", "code-unseen"), ("b", "")]),
        ("a\u034fb", [("a", ""), ("U+034F", "code-unseen"), ("b", "")]),
        ("a\U000e0100b", [("a", ""), ("U+E0100", "code-unseen"), ("b", "")]),
        ("\0" * 3, [("NUL, 3 times", "code-unseen")]),
        ("\x1b]0;no end", [("ESC", "code-unseen"), ("]0;no end", "")]),
        ("\x9b31mnot red", [("U+009B", "code-unseen"), ("31mnot red", "")]),
    ],
)
def test_what_cannot_be_seen_is_named(raw: str, pieces: list[tuple[str, str]]) -> None:
    assert shown(raw) == pieces


def test_bytes_that_are_no_text_are_named() -> None:
    assert shown(ansi.decoded(b"caf\xe9 \xff\xfe")) == [
        ("caf", ""),
        ("\\xe9", "code-unseen"),
        (" ", ""),
        ("\\xff\\xfe", "code-unseen"),
    ]


def test_a_very_long_line_says_how_much_is_not_shown() -> None:
    assert shown("x" * 1_000_000) == [("x" * 2000, ""), ("998,000 more characters", "code-unseen")]


def test_of_a_very_long_row_that_was_painted_over_the_end_is_shown() -> None:
    assert shown("".join(f"\r{number:3d} %" for number in range(101)) * 100) == [("100 %", "")]


def test_a_line_can_be_read_without_its_colours() -> None:
    assert ansi.text_of("\x1b[1;31mE\x1b[0m 10 %\r\x1b[K\x1b[32mdone\r") == "done"
    assert ansi.text_of("\x1b[31m" + "x" * 100_000) == "x" * 100_000


def test_the_style_of_a_later_line_is_known_from_those_before() -> None:
    style = ansi.style_after(["\x1b[31mone", "two\x1b[1m"])

    assert ansi.lines(["three"], style) == [[Piece("three", "ansi-1 ansi-bold")]]


def test_a_colour_goes_on_from_line_to_line() -> None:
    assert ansi.lines(["\x1b[31mone", "two", "\x1b[0mthree"]) == [
        [Piece("one", "ansi-1")],
        [Piece("two", "ansi-1")],
        [Piece("three", "")],
    ]


def test_a_line_of_very_many_colours_has_an_end() -> None:
    line = ansi.lines(["".join(f"\x1b[{31 + number % 2}mx" for number in range(5000))])[0]

    assert len(line) == ansi.PIECES_MAX + 1


def test_a_line_of_very_many_bytes_that_are_no_text_has_an_end() -> None:
    assert len(shown(ansi.decoded(b"\xffa" * 5000))) <= ansi.PIECES_MAX + 1


@given(st.text(alphabet="\x1b[]0123456789;:mKGP\\\x07\x08\r\0 <>&ab\u202e", max_size=60))
def test_nothing_that_is_printed_becomes_more_than_text_and_our_classes(raw: str) -> None:
    for text, classes in shown(raw):
        assert not set(text) & set("\x1b\x07\x08\r\0\u202e")
        assert all(name.startswith(("ansi-", "code-unseen")) for name in classes.split())
