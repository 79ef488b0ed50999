"""Every colour of a terminal can be read on every ground that it may have."""

import math
import re

import pytest
from tests.web.pages.test_design import AA_TEXT, ASSETS, contrast, palettes

from changes.web.pages import ansi_styles

CSS = (ASSETS / "components/ansi.css").read_text()
TOKEN = re.compile(r"\.(ansi-[a-z0-9-]+) {[^}]*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
HUES = re.compile(r"\.ansi-hue-(\d+) { --hue: (\d+); }")
BY_HUE = re.compile(r"oklch\((\S+) (\S+) var\(--(hue|ground)\)\)")
# The ground of a log and of lines in it that matter.
GROUNDS = ("sunken", "hover", "failed-tint", "quarantined-tint", "accent-tint")


def as_hex(lightness: float, chroma: float, hue: float) -> str:
    """As browsers paint oklch(): what a screen has no light for is cut off."""
    green_red, blue_yellow = (
        chroma * math.cos(math.radians(hue)),
        chroma * math.sin(math.radians(hue)),
    )
    long = (lightness + 0.3963377774 * green_red + 0.2158037573 * blue_yellow) ** 3
    middle = (lightness - 0.1055613458 * green_red - 0.0638541728 * blue_yellow) ** 3
    short = (lightness - 0.0894841775 * green_red - 1.2914855480 * blue_yellow) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    channels = [
        12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055
        for each in (min(1, max(0, each)) for each in linear)
    ]
    return "#" + "".join(f"{round(each * 255):02x}" for each in channels)


def drawn(theme: int) -> tuple[dict[str, str], dict[str, str]]:
    """Inks and grounds by their classes, in one theme."""
    tokens = {name: (light, dark)[theme] for name, light, dark in TOKEN.findall(CSS)}
    inks = {name: colour for name, colour in tokens.items() if not name.startswith("ansi-on")}
    grounds = {name: colour for name, colour in tokens.items() if name.startswith("ansi-on")}
    [ink, ground] = [BY_HUE.findall(line)[theme] for line in CSS.splitlines() if BY_HUE.search(line)]
    for number, hue in HUES.findall(CSS):
        inks[f"ansi-hue-{number}"] = as_hex(float(ink[0]), float(ink[1]), float(hue))
        grounds[f"ansi-on-hue-{number}"] = as_hex(float(ground[0]), float(ground[1]), float(hue))
    return inks, grounds


@pytest.mark.parametrize("palette", ["usual", "safe"])
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_can_be_read_on_every_ground(palette: str, theme: int) -> None:
    tokens = {name: pair[theme] for name, pair in palettes()[palette].items()}
    inks, grounds = drawn(theme)
    inks |= {"plain": tokens["ink"], "ansi-dim": tokens["quiet"]}
    grounds |= {name: tokens[name] for name in GROUNDS}

    poor = [
        (ink, ground)
        for ink, one in inks.items()
        for ground, other in grounds.items()
        if contrast(one, other) < AA_TEXT
    ]

    assert poor == []


def test_every_colour_that_can_be_asked_for_is_there() -> None:
    inks, grounds = drawn(0)
    asked = [f"38;5;{number}" for number in range(300)]
    asked += [f"38;2;{red};{green};128" for red in range(0, 256, 51) for green in range(0, 256, 51)]

    for each in asked:
        assert ansi_styles.changed(ansi_styles.PLAIN, each).classes in inks
        assert ansi_styles.changed(ansi_styles.PLAIN, each.replace("38", "48", 1)).classes in grounds
