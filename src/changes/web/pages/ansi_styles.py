"""What a terminal's SGR says of colour and weight, as names of our own classes. Pure.

The sixteen colours have tokens of their own; all others are taken by their hue, because a colour that was
chosen for a dark screen cannot be read on a light one. What lies behind the text is a tint of the hue.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

Rgb = tuple[int, int, int]
BASIC = 16
HUES = 24
# Colours are numbers: below 16 those of the terminal, from there on hues.
GREY, WHITE = 8, 15
BASIC_RGB: tuple[Rgb, ...] = (
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
)
CUBE_LEVELS = (0, 95, 135, 175, 215, 255)
CUBE_END, PALETTE_END = 232, 256
# Below it sRGB is a straight line.
DARK_MAX = 0.04045
# Less colour than this is grey; and of grey there are four, from black to white.
CHROMA_MIN = 0.04
GREYS = ((0.3, 0), (0.62, GREY), (0.93, 7))
BOLD, DIM, ITALIC, UNDERLINE, REVERSE, STRIKE = (2**number for number in range(6))
MARKS = (
    (BOLD, "ansi-bold"),
    (DIM, "ansi-dim"),
    (ITALIC, "ansi-italic"),
    (UNDERLINE, "ansi-underline"),
    (STRIKE, "ansi-strike"),
)
UNDERLINED = 4
SETS = {1: BOLD, 2: DIM, 3: ITALIC, 4: UNDERLINE, 7: REVERSE, 9: STRIKE, 21: UNDERLINE}
TAKES = {22: BOLD | DIM, 23: ITALIC, 24: UNDERLINE, 27: REVERSE, 29: STRIKE}
INK, GROUND, LINE = 38, 48, 58
NO_INK, NO_GROUND = 39, 49
PALETTE, TRUE = 5, 2
CODES_MAX = 64
NUMBER_DIGITS = 4


@dataclass(frozen=True)
class Style:
    ink: int | None = None
    ground: int | None = None
    marks: int = 0

    @property
    def classes(self) -> str:
        return classes_of(self)


PLAIN = Style()


@lru_cache(maxsize=1024)
def classes_of(style: Style) -> str:
    ink, ground = style.ink, style.ground
    if style.marks & REVERSE:
        if ink is None and ground is None:
            return " ".join(["ansi-reverse", *marks_of(style.marks & ~DIM)])
        ink, ground = ground, WHITE if ink is None else ink
    colours = ([f"ansi-{name(ink)}"] if ink is not None else []) + (
        [tint(ground)] if ground is not None else []
    )
    # A colour has no paler form that could be read as well.
    return " ".join([*colours, *marks_of(style.marks if ink is None else style.marks & ~DIM)])


def marks_of(marks: int) -> list[str]:
    return [word for bit, word in MARKS if marks & bit]


def name(colour: int) -> str:
    return str(colour) if colour < BASIC else f"hue-{colour - BASIC}"


def tint(colour: int) -> str:
    shown = nearest(BASIC_RGB[colour]) if colour < BASIC else colour
    return "ansi-on-grey" if shown < BASIC else f"ansi-on-hue-{shown - BASIC}"


@lru_cache(maxsize=1024)
def changed(style: Style, parameters: str) -> Style:
    """What SGR with these parameters makes of a style; what is unknown changes nothing."""
    told = [sub_numbers(each) for each in parameters.split(";", CODES_MAX)[:CODES_MAX]]
    while told:
        (code, *more), *told = told
        if code in {INK, GROUND, LINE}:
            # Of the newer form all is in one parameter, of the older one in those that follow.
            rest = more or [each[0] for each in told[:4]]
            colour, taken = colour_of(rest, is_one=bool(more))
            told = told if more else told[taken:]
            style = style if colour is None else coloured(style, code, colour)
        else:
            style = with_code(style, code, more)
    return style


def sub_numbers(text: str) -> list[int]:
    return [int(each) if each.isdecimal() and len(each) <= NUMBER_DIGITS else 0 for each in text.split(":")]


def colour_of(told: list[int], *, is_one: bool) -> tuple[int | None, int]:
    """The colour, and how many numbers told it."""
    kind = told[0] if told else 0
    if kind == PALETTE:
        return (from_palette(told[1]), 2) if len(told) > 1 else (None, 1)
    if kind == TRUE:
        # "2::r:g:b" names a room of colours before them, mostly an empty one.
        first = 2 if is_one and len(told) > TRUE + 2 else 1
        rgb = told[first : first + 3]
        return (nearest(bounded(rgb)), 4) if len(rgb) == len("rgb") else (None, len(told))
    return None, 1


def bounded(rgb: list[int]) -> Rgb:
    red, green, blue = (min(255, each) for each in rgb)
    return red, green, blue


def coloured(style: Style, code: int, colour: int) -> Style:
    if code == INK:
        return replace(style, ink=colour)
    return replace(style, ground=colour) if code == GROUND else style


def with_code(style: Style, code: int, more: list[int]) -> Style:
    if code == 0:
        return PLAIN
    if code == UNDERLINED and more == [0]:
        return replace(style, marks=style.marks & ~UNDERLINE)
    if code in SETS:
        return replace(style, marks=style.marks | SETS[code])
    if code in TAKES:
        return replace(style, marks=style.marks & ~TAKES[code])
    return with_colour(style, code)


def with_colour(style: Style, code: int) -> Style:
    if code == NO_INK:
        return replace(style, ink=None)
    if code == NO_GROUND:
        return replace(style, ground=None)
    for first, offset in ((30, 0), (90, 8)):
        if first <= code < first + 8:
            return replace(style, ink=code - first + offset)
        if first + 10 <= code < first + 18:
            return replace(style, ground=code - first - 10 + offset)
    return style


def from_palette(number: int) -> int:
    if number < BASIC:
        return number
    if number >= PALETTE_END:
        return GREY
    if number >= CUBE_END:
        return nearest((8 + 10 * (number - CUBE_END),) * 3)
    red, green, blue = (number - BASIC) // 36, (number - BASIC) // 6 % 6, (number - BASIC) % 6
    return nearest((CUBE_LEVELS[red], CUBE_LEVELS[green], CUBE_LEVELS[blue]))


@lru_cache(maxsize=4096)
def nearest(rgb: Rgb) -> int:
    """A hue, or one of the greys among the sixteen."""
    lightness, green_red, blue_yellow = oklab(rgb)
    if math.hypot(green_red, blue_yellow) < CHROMA_MIN:
        return next((grey for limit, grey in GREYS if lightness < limit), WHITE)
    turn = math.atan2(blue_yellow, green_red) / math.tau
    return BASIC + round(turn * HUES) % HUES


def oklab(rgb: Rgb) -> tuple[float, float, float]:
    """Björn Ottosson's room of colours, in which equal steps look equal."""
    red, green, blue = (linear(each / 255) for each in rgb)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def linear(part: float) -> float:
    return part / 12.92 if part <= DARK_MAX else float(((part + 0.055) / 1.055) ** 2.4)
