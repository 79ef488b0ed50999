"""The shell and the components in a browser: accessible, within the policy, with and without script."""

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import PHONE, WIDE, NewReader, complaints, hidden_beyond_the_edge

pytestmark = pytest.mark.system


# The parts stand in both themes on either page; the frame around them has that of the reader.
@pytest.mark.parametrize(("theme", "screen"), [("light", WIDE), ("dark", PHONE)], ids=["wide", "phone"])
def test_everybody_can_use_every_component(new_reader: NewReader, theme: str, screen: dict[str, int]) -> None:
    reader = new_reader(viewport=screen, color_scheme=theme)

    page = reader.opens_live("/design")

    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0
    assert reader.said == []


def test_the_safe_palette_is_drawn_by_the_server(new_reader: NewReader) -> None:
    reader = new_reader(java_script_enabled=False)
    reader.context.add_cookies([{"name": "changes_palette", "value": "safe", "url": reader.url}])

    page = reader.opens("/design")

    failed = page.locator("#states .tone-failed").first
    expect(page.locator("html")).to_have_attribute("data-palette", "safe")
    expect(failed).to_have_css("color", "rgb(162, 51, 0)")


def test_without_script_the_page_reads_and_menus_open(new_reader: NewReader) -> None:
    page = new_reader(java_script_enabled=False, viewport=PHONE).opens("/design")

    page.locator(".top-end summary").click()

    expect(page.get_by_text("Signed in as")).to_be_visible()
    expect(page.get_by_text("5 min ago").first).to_be_visible()
    expect(page.get_by_role("button", name="Dark")).to_be_visible()


def test_a_theme_is_remembered_and_drawn_by_the_server(new_reader: NewReader) -> None:
    reader = new_reader(color_scheme="light")
    page = reader.opens_live("/design")

    page.locator(".top-end summary").click()
    page.get_by_role("button", name="Dark").click()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert 'data-theme="dark"' in reader.context.request.get(f"{reader.url}/design").text().split("<head>")[0]


def test_the_key_map_lists_what_the_page_can_do(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    page.keyboard.press("?")

    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog.get_by_text("Projects")).to_be_visible()
    expect(dialog.get_by_text("Next in the list")).to_be_visible()
    assert complaints(page, "#keys") == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_keys_lead_through_lists_and_pages(new_reader: NewReader) -> None:
    reader = new_reader()
    page = reader.opens_live("/design")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("[data-item]").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("[data-item]").nth(0)).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("h")

    page.wait_for_url(f"{reader.url}/")


def test_no_key_acts_inside_a_field(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    page.keyboard.press("/")
    page.keyboard.type("gh?j")

    expect(page.get_by_label("Search projects, builds, authors and commits")).to_have_value("gh?j")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


def test_the_palette_goes_to_what_the_page_offers_without_a_server(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    page.keyboard.press("Control+k")
    page.keyboard.type("filt")
    expect(page.locator("#palette").get_by_role("option")).to_have_count(2)
    assert complaints(page, "#palette") == []
    page.keyboard.press("Enter")

    page.wait_for_url("**/design#filters")


def test_the_palette_offers_what_the_server_finds(new_reader: NewReader) -> None:
    reader = new_reader()
    found = {"items": [{"label": "payments", "group": "Project", "href": "/projects/payments/"}]}
    reader.page.route("**/palette.json?q=*", lambda route: route.fulfill(json=found))
    page = reader.opens_live("/design")

    page.keyboard.press("Control+k")
    page.keyboard.type("pay")

    expect(page.get_by_role("option", name="payments")).to_be_visible()


def test_the_exact_moment_is_told_in_the_zone_of_the_reader(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    expect(page.locator("time[data-relative]").first).to_have_attribute("title", re.compile("GMT\\+9$"))


def test_a_dialog_asks_in_place_and_closes(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")
    dialog = page.get_by_role("dialog", name="Cancel build #204?").first

    page.get_by_role("button", name="Cancel the build").first.click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Keep it running").click()

    expect(dialog).to_be_hidden()


def test_copying_says_that_it_copied(new_reader: NewReader) -> None:
    reader = new_reader(permissions=["clipboard-read", "clipboard-write"])
    page = reader.opens_live("/design")

    page.locator("[data-copy='#code-light']").click()

    expect(page.locator("#toasts").get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith("make test")


def test_a_choice_in_a_filter_is_asked_at_once_and_stands_in_the_address(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    page.locator("#filters select[name=result]").first.select_option("passed")

    page.wait_for_url("**/design?words=refund&result=passed#filters")


def test_the_first_tab_leads_past_the_navigation(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/design")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()
