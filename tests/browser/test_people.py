"""Signing in, one's account, users and tokens, before a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import NewReader, Site
from tests.factories import numbers

from changes.people import passwords, tokens, users
from changes.people.rules import Scope

pytestmark = pytest.mark.system
PASSWORD = "correct horse battery"


@pytest.fixture
def kim(site: Site) -> str:
    """An administrator with a password, a token, and somebody to look after."""
    with site.database.transaction() as session:
        user = users.create(session, f"kim{next(numbers)}@example.com", is_admin=True)
        passwords.set_password(user, PASSWORD)
        tokens.create(session, "laptop", Scope.WRITE, user=user)
        return user.email


def signs_in(page: Page, url: str, email: str, where: str = "/account/") -> None:
    page.goto(f"{url}{where}")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{where}")


@pytest.fixture
def stranger(new_reader: NewReader, site: Site) -> Callable[..., Page]:
    """Before a browser that nobody has signed in with."""

    def before(**options: object) -> Page:
        reader = new_reader(**options)
        reader.context.clear_cookies()
        return reader.page

    return before


def test_the_whole_way_needs_no_script(stranger: Callable[..., Page], site: Site, kim: str) -> None:
    page = stranger(java_script_enabled=False)

    signs_in(page, site.url, kim)
    page.get_by_label("What for").fill("nightly job")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#new-token")).to_contain_text("chg_")
    page.get_by_role("link", name="Revoke nightly job").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("opens nothing any more")).to_be_visible()
    page.locator(".top summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()

    expect(page.get_by_role("heading", name="Sign in to Changes")).to_be_visible()


def test_a_taste_chosen_in_the_menu_follows_to_another_browser(
    stranger: Callable[..., Page], site: Site, kim: str
) -> None:
    here, elsewhere = stranger(), stranger()
    signs_in(here, site.url, kim)
    here.wait_for_selector("html[data-scripted]", state="attached")
    here.locator(".top summary").click()
    with here.expect_response("**/account/appearance/"):
        here.get_by_role("button", name="Dark").click()

    signs_in(elsewhere, site.url, kim)

    expect(here.locator("html")).to_have_attribute("data-theme", "dark")
    expect(elsewhere.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_new_token_is_copied_with_one_press(stranger: Callable[..., Page], site: Site, kim: str) -> None:
    page = stranger()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    signs_in(page, site.url, kim)
    page.get_by_label("What for").fill("nightly job")
    page.get_by_role("button", name="Make a token").click()
    page.wait_for_selector("html[data-scripted]", state="attached")

    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_text("Copied.")).to_be_visible()

    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#new-token").inner_text()
