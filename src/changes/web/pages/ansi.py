"""Lines of a log as a terminal ends up with them: its colours as classes, nothing else that it obeys. Pure.

What is printed was written by other people's programs, so nothing of it ever becomes markup: a line is
pieces of plain text, each with the names of our own classes. What is not seen is named.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from changes.web.pages import unseen
from changes.web.pages.ansi_styles import PLAIN, Style, changed

# A colour, what erases a line, and what is dropped: cursors, titles, links, images, character sets, bells.
# What has no end on its line is shown as the text that it is.
ESCAPES = re.compile(
    r"\x1b\[(?P<parameters>[0-?]{0,200})[ -/]{0,4}(?P<command>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{1,4}[0-~]|\x1b[0-OQ-WYZ\\`-~]"
    r"|(?P<returned>\r)|(?P<back>\x08)|[\x07\x0e\x0f]"
)
LINE_CHARACTERS = 2000
# So much of a line is looked at, colours included: of a progress bar its end, of all else its beginning.
RAW_CHARACTERS = 2 * LINE_CHARACTERS
PIECES_MAX = 100
UNSEEN_CLASS = "code-unseen"
TO_COLUMN, ERASE, COLOUR = "G", "K", "m"
FIRST_COLUMN = {"", "0", "1"}


class Piece(NamedTuple):
    text: str
    classes: str = ""


Line = list[Piece]
Run = tuple[str, Style]


class Drawn(NamedTuple):
    """A line in pieces, the style that the next one begins with, and how many characters are not shown."""

    pieces: Line
    style: Style
    left_out: int = 0


def lines(raw: Iterable[str], style: Style = PLAIN) -> list[Line]:
    """A colour lasts until it is changed, so it goes on from line to line."""
    found = []
    for each in raw:
        drawn = draw(each, style)
        style = drawn.style
        rest = [Piece(f"{drawn.left_out:,} more characters", UNSEEN_CLASS)] if drawn.left_out else []
        found.append([*drawn.pieces, *rest])
    return found


def style_after(raw: Iterable[str]) -> Style:
    """What the line after these begins with."""
    style = PLAIN
    for each in raw:
        if "\x1b" in each:
            style = printed(looked_at(each)[0], style).style
    return style


def draw(raw: str, style: Style) -> Drawn:
    shown, left_out = looked_at(raw)
    screen = printed(shown, style)
    runs = screen.runs()
    too_long = max(0, sum(len(text) for text, _ in runs) - LINE_CHARACTERS)
    return Drawn(pieces(runs), screen.style, left_out + too_long)


def text_of(raw: str) -> str:
    """The whole line as it is read, without colours."""
    return "".join(text for text, _ in printed(raw.rstrip("\r"), PLAIN).runs())


def printed(shown: str, style: Style) -> "Screen":
    screen, end = Screen(style), 0
    for escape in ESCAPES.finditer(shown):
        screen.write(shown[end : escape.start()])
        screen.obey(escape)
        end = escape.end()
    screen.write(shown[end:])
    return screen


def looked_at(raw: str) -> tuple[str, int]:
    """The part of a line that is drawn, and how many characters of its end are not."""
    raw = raw.rstrip("\r")
    if len(raw) <= RAW_CHARACTERS:
        return raw, 0
    returned = raw.find("\r", -RAW_CHARACTERS)
    if returned >= 0:
        return raw[returned + 1 :], 0
    return raw[:RAW_CHARACTERS], len(raw) - RAW_CHARACTERS


@dataclass
class Screen:
    """One row of a terminal: what was written since the cursor was last at its beginning lies over what
    stood there before.
    """

    style: Style
    over: list[Run] = field(default_factory=list)
    under: deque[Run] = field(default_factory=deque)

    def write(self, text: str) -> None:
        if text:
            self.over.append((text, self.style))

    def obey(self, escape: re.Match[str]) -> None:
        command, parameters = escape["command"], escape["parameters"]
        if command == COLOUR:
            self.style = changed(self.style, parameters)
        elif command == ERASE:
            self.erase(parameters)
        elif escape["returned"] or (command == TO_COLUMN and parameters in FIRST_COLUMN):
            self.go_back()
        elif escape["back"] and self.over:
            text, style = self.over.pop()
            if text[:-1]:
                self.over.append((text[:-1], style))

    def erase(self, parameters: str) -> None:
        """To the end of the row, or all of it; whoever erases all begins anew."""
        if parameters in {"", "0", "2"}:
            self.under.clear()
        if parameters == "2":
            self.over = []

    def go_back(self) -> None:
        """What is covered is taken away once, so a row of many returns is no more work."""
        covered = sum(len(text) for text, _ in self.over)
        while self.under and covered >= len(self.under[0][0]):
            covered -= len(self.under.popleft()[0])
        if self.under and covered:
            text, style = self.under.popleft()
            self.under.appendleft((text[covered:], style))
        self.under.extendleft(reversed(self.over))
        self.over = []

    def runs(self) -> list[Run]:
        self.go_back()
        return list(self.under)


def pieces(runs: list[Run]) -> Line:
    """What cannot be seen is named, and a very long line ends."""
    found: Line = []
    room = LINE_CHARACTERS
    for text, style in runs:
        for part, is_unseen in unseen.parts(text[:room]):
            join(found, Piece(part, UNSEEN_CLASS if is_unseen else style.classes))
        room = max(0, room - len(text))
    return found


def join(found: Line, new: Piece) -> None:
    """Neighbours that look the same are one; a line of too many looks goes on without them."""
    if len(found) == PIECES_MAX:
        found[-1] = Piece(found[-1].text + new.text)
    elif found and found[-1].classes == new.classes != UNSEEN_CLASS:
        found[-1] = Piece(found[-1].text + new.text, new.classes)
    else:
        found.append(new)


def decoded(raw: bytes) -> str:
    """Each byte that is no character stays one of its own, to be named."""
    return raw.decode("utf-8", "surrogateescape")
