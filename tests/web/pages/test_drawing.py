"""The frame of every page: title, icon, the reader's taste, errors."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from lxml import etree
from starlette.requests import Request

from changes.web.pages import drawing, states
from changes.web.pages.states import State


def a_request(cookie: str = "", path: str = "/design") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"changes.test"), (b"cookie", cookie.encode())],
            "state": {"request_id": "0198f2c4a1"},
        }
    )


def test_the_title_begins_with_the_verdict() -> None:
    assert drawing.page_title(states.FAILED, "payments #12") == "\N{BALLOT X} payments #12 · Changes"
    assert drawing.page_title(None, "Changes") == "Changes"


def test_a_title_is_escaped_once() -> None:
    assert drawing.page_title(None, "A & B") == "A &amp; B · Changes"


@pytest.mark.parametrize("state", [None, *states.ALL], ids=lambda state: state.name if state else "brand")
def test_the_icon_of_the_tab_is_the_shape_of_the_verdict(state: State | None) -> None:
    svg = unquote(drawing.favicon(state).removeprefix("data:image/svg+xml,"))

    assert "currentColor" not in svg
    assert len(etree.fromstring(svg.encode())) > 0


def test_a_chosen_theme_is_there_from_the_first_byte() -> None:
    assert drawing.chosen({"changes_theme": "dark", "changes_palette": "safe"}) == {
        "data-theme": "dark",
        "data-palette": "safe",
    }


def test_a_cookie_cannot_write_into_the_page() -> None:
    assert drawing.chosen({"changes_theme": '"><script>', "changes_palette": "neon"}) == {}


@pytest.mark.parametrize("status", [401, 403, 404, 409, 418, 500, 503])
def test_an_error_says_what_happened_and_what_to_quote(settings: object, status: int) -> None:
    answer = drawing.error_page(a_request(), status, "No build has the number <42>.")

    text = bytes(answer.body).decode()
    assert answer.status_code == status
    assert "No build has the number &lt;42&gt;." in text
    assert "0198f2c4a1" in text
    assert len(re.findall("<h1", text)) == 1


def test_style_and_script_change_their_address_with_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = tmp_path / ".inputs"
    monkeypatch.setattr(drawing, "BUNDLE_STAMP", stamp)
    before = drawing.bundle_version()

    stamp.write_text("abcdef0123456789")

    assert (before, drawing.bundle_version()) == ("", "abcdef012345")
