"""Colours of a terminal as classes: the sixteen of SGR and bold, nothing else. Pure.

What is printed was written by other people's programs, so nothing of it ever becomes markup: a line is
pieces of plain text, each with the names of our own classes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Colours and whatever else a terminal would obey: cursors, titles, links, other character sets.
ESCAPES = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LINE_CHARACTERS = 2000
PIECES_MAX = 100
NORMAL, BOLD, NOT_BOLD, DEFAULT_COLOUR = 0, 1, 22, 39
# What follows is a colour of a larger palette, "38;5;200" or "38;2;10;20;30": none of ours.
EXTENDED_INK = 38
EXTENDED = {EXTENDED_INK, 48}
EXTENDED_LENGTH = {5: 2, 2: 4}


@dataclass(frozen=True)
class Style:
    """`colour` is 0 to 15, as terminals number them; None is the colour of plain text."""

    colour: int | None = None
    is_bold: bool = False

    @property
    def classes(self) -> str:
        names = [f"ansi-{self.colour}"] if self.colour is not None else []
        return " ".join([*names, "ansi-bold"] if self.is_bold else names)


@dataclass(frozen=True)
class Piece:
    text: str
    classes: str


Line = list[Piece]
PLAIN = Style()


def lines(raw: list[str]) -> list[Line]:
    """A colour lasts until it is changed, so it goes on from line to line."""
    style, drawn = PLAIN, []
    for each in raw:
        pieces, style = draw(each, style)
        drawn.append(pieces)
    return drawn


def draw(raw: str, style: Style) -> tuple[Line, Style]:
    """One line as a terminal ends up with it: progress bars paint over themselves."""
    before, returned, last = raw.rstrip("\r").rpartition("\r")
    if returned:
        style = list(styled(before, style))[-1][1]
    pieces: Line = []
    left = LINE_CHARACTERS
    for text, now in styled(last, style):
        style = now
        shown = CONTROLS.sub("", text)
        if shown and left > 0 and len(pieces) < PIECES_MAX:
            cut = f"{shown[:left]}…" if len(shown) > left else shown
            pieces = joined(pieces, Piece(cut, now.classes))
            left -= len(shown)
    return pieces, style


def joined(pieces: Line, new: Piece) -> Line:
    if pieces and pieces[-1].classes == new.classes:
        return [*pieces[:-1], Piece(pieces[-1].text + new.text, new.classes)]
    return [*pieces, new]


def styled(text: str, style: Style) -> Iterator[tuple[str, Style]]:
    """Runs of text with the style they have; the last one also says what the next line begins with."""
    at = 0
    for escape in ESCAPES.finditer(text):
        yield text[at : escape.start()], style
        at = escape.end()
        if escape[2] == "m":
            style = changed(style, escape[1])
    yield text[at:], style


def changed(style: Style, parameters: str) -> Style:
    codes = [int(code) if code.isdecimal() else 0 for code in parameters.replace(":", ";").split(";")]
    while codes:
        code, *codes = codes
        if code in EXTENDED:
            style = with_code(style, DEFAULT_COLOUR) if code == EXTENDED_INK else style
            codes = codes[EXTENDED_LENGTH.get(codes[0], 1) if codes else 0 :]
        else:
            style = with_code(style, code)
    return style


def with_code(style: Style, code: int) -> Style:
    if code == NORMAL:
        return PLAIN
    if code in {BOLD, NOT_BOLD}:
        return Style(style.colour, is_bold=code == BOLD)
    if code == DEFAULT_COLOUR:
        return Style(None, style.is_bold)
    for first, offset in ((30, 0), (90, 8)):
        if first <= code < first + 8:
            return Style(code - first + offset, style.is_bold)
    return style
