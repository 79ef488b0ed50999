"""The living page of the design, and the rules that all templates and colours keep."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga

from changes.people import users
from changes.web.auth import COOKIE
from changes.web.pages import drawing

ASSETS = drawing.FOLDER / "assets"
TOKEN = re.compile(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
GROUNDS = ("canvas", "surface", "raised")
INK = ("ink", "soft", "quiet", "accent", "danger")
AA_TEXT, AA_EDGE = 4.5, 3.0


@pytest.fixture
def signed_in(client: TestClient, session: Session) -> TestClient:
    client.cookies.set(COOKIE, users.open_session(session, olga(session).id))
    return client


def test_a_signed_in_reader_sees_every_part_in_both_themes(signed_in: TestClient) -> None:
    answer = signed_in.get("/design")

    assert answer.status_code == 200
    assert answer.text.count('<div data-theme="light">') == answer.text.count('<section class="design-part"')
    assert answer.text.count('<div data-theme="light">') == answer.text.count('<div data-theme="dark">')


def test_a_stranger_is_led_to_the_door(client: TestClient) -> None:
    answer = client.get("/design", follow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/auth/login/?next=%2Fdesign")


def test_the_page_is_small(signed_in: TestClient) -> None:
    answer = signed_in.get("/design")

    assert len(answer.content) < 300_000
    assert len(re.findall(r"<[a-zA-Z]", answer.text)) < 5_000


def test_no_id_stands_twice(signed_in: TestClient) -> None:
    ids = re.findall(r'\sid="([^"]+)"', signed_in.get("/design").text)

    assert sorted(ids) == sorted(set(ids))


# --- what all templates keep ---------------------------------------------------------------


def templates() -> Iterator[tuple[Path, str]]:
    for path in sorted(drawing.TEMPLATES.rglob("*.html")):
        yield path, path.read_text()


def test_every_component_is_shown() -> None:
    shown = (drawing.TEMPLATES / "design.html").read_text()

    names = [name for name, _ in drawing.components(drawing.environment())]

    assert [name for name in names if f"ui.{name}(" not in shown] == []


def test_every_component_is_explained() -> None:
    silent = []
    for path, text in templates():
        if path.parent.name == drawing.COMPONENTS:
            macros = re.findall(r"{% macro ([a-z]\w*)\(", text)
            said = " ".join(re.findall(r"{#(.*?)#}", text, re.DOTALL))
            silent += [name for name in macros if f"{name}(" not in said]

    assert silent == []


def test_no_template_carries_script_or_style_of_its_own() -> None:
    forbidden = re.compile(
        r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:|hx-on", re.IGNORECASE
    )

    assert [path.name for path, text in templates() if forbidden.search(text)] == []


def test_every_icon_asked_for_is_drawn() -> None:
    sources = [text for _, text in templates()] + [path.read_text() for path in ASSETS.rglob("*.ts")]
    asked = set(re.findall(r'(?<![\w.-])icon\("([a-z-]+)"', "\n".join(sources)))
    asked |= set(re.findall(r'icon_name="([a-z-]+)"', "\n".join(sources)))

    assert asked - set(drawing.shapes()) == set()


# --- colours -------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, tuple[str, str]]]:
    """Name → (light, dark), of the usual palette and of the safe one laid over it."""
    usual, _, safe = (ASSETS / "tokens.css").read_text().partition('[data-palette="safe"] {')
    first = {name: (light, dark) for name, light, dark in TOKEN.findall(usual)}
    return {
        "usual": first,
        "safe": first | {name: (light, dark) for name, light, dark in TOKEN.findall(safe)},
    }


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("palette", ["usual", "safe"])
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_on_every_ground(palette: str, theme: int) -> None:
    colours = {name: pair[theme] for name, pair in palettes()[palette].items()}
    tones = [name.removesuffix("-tint") for name in colours if name.endswith("-tint")]
    pairs = [(text, ground) for text in [*INK, *tones] for ground in GROUNDS]
    pairs += [(tone, f"{tone}-tint") for tone in tones] + [("ink", f"{tone}-tint") for tone in tones]
    code = [name for name in colours if name.startswith("code-")]
    pairs += [(kind, ground) for kind in code for ground in ("surface", "passed-tint", "failed-tint")]
    pairs += [("on-accent", "accent"), ("on-danger", "danger"), ("quiet", "sunken"), ("quiet", "hover")]

    poor = {pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < AA_TEXT}

    assert poor == set()


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_frame_of_a_control_and_the_focus_are_seen(theme: int) -> None:
    colours = {name: pair[theme] for name, pair in palettes()["usual"].items()}

    assert all(contrast(colours[name], colours["surface"]) >= AA_EDGE for name in ("edge", "focus"))
