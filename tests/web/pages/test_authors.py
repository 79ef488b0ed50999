"""The builds of one author."""

import re
from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_project, an_author
from tests.finished import an_ended_build
from tests.web.conftest import answered

from changes.base import ids
from changes.builds.rules import Result
from changes.people.models import AuthorAddress


def test_builds_of_all_projects_are_listed_and_those_of_others_are_not(
    browser: TestClient, session: Session
) -> None:
    author = an_author(session)
    for slug in ("server", "client"):
        an_ended_build(session, a_project(session, slug), author=author)
    an_ended_build(session, a_project(session, "other"))

    page = browser.get(f"/authors/{author.id.hex}/").text

    assert "/projects/server/builds/1/" in page
    assert "/projects/client/builds/1/" in page
    assert "/projects/other/" not in page


def test_everybody_is_listed_with_the_newest_build_and_those_who_are_joined_once(
    browser: TestClient, session: Session, questions: Callable[[str], int]
) -> None:
    author, other, alias = (an_author(session) for _ in range(3))
    session.add(AuthorAddress(email=alias.email.lower(), author_id=author.id))
    project = a_project(session, "server")
    for _ in range(2):
        an_ended_build(session, project, author=author)

    page = answered(browser.get("/authors/")).text
    some = browser.get("/authors/", params={"query": other.email[:-4]}).text

    assert "/projects/server/builds/2/" in page
    assert "/projects/server/builds/1/" not in page
    assert [f"/authors/{each.id.hex}/" in page for each in (author, other, alias)] == [True, True, False]
    assert [f"/authors/{each.id.hex}/" in some for each in (author, other)] == [False, True]
    assert questions("/authors/") <= 5


def test_an_author_without_builds_says_so(browser: TestClient, session: Session) -> None:
    assert "Nothing by this author was built" in browser.get(f"/authors/{an_author(session).id.hex}/").text


def test_what_was_built_for_an_author_is_summed_up(browser: TestClient, session: Session) -> None:
    author, project = an_author(session), a_project(session)
    for result in (Result.PASSED, Result.PASSED, Result.FAILED, Result.ABORTED):
        an_ended_build(session, project, result, author=author)

    page = browser.get(f"/authors/{author.id.hex}/").text

    assert re.findall(r'class="stat-value[^"]*">\s*([^<]+?)\s*<', page)[:2] == ["4", "67 %"]


def test_an_author_who_does_not_exist_is_a_page_that_says_so(browser: TestClient) -> None:
    assert browser.get(f"/authors/{ids.new().hex}/").status_code == 404


def test_many_builds_come_in_pages_and_ask_no_more_questions(
    browser: TestClient, session: Session, questions: Callable[[str], int]
) -> None:
    author, project = an_author(session), a_project(session)
    for _ in range(26):
        an_ended_build(session, project, author=author)
    where = f"/authors/{author.id.hex}/"

    assert browser.get(where).text.count('data-row="build"') == 25
    assert browser.get(f"{where}?page=2").text.count('data-row="build"') == 1
    assert questions(where) <= 10


def test_an_address_is_joined_on_the_page_and_taken_off_again(browser: TestClient, session: Session) -> None:
    author, home = an_author(session), an_author(session)
    project = a_project(session, "server")
    an_ended_build(session, project, author=home)
    here = f"/authors/{author.id.hex}/"

    joined = post(browser, here, f"{here}addresses/", home.email)
    page = browser.get(here).text
    led = browser.get(f"/authors/{home.id.hex}/", follow_redirects=False)
    off = post(browser, here, f"{here}addresses/off/", home.email)

    assert (joined, off) == (303, 303)
    assert home.email in page
    assert "/projects/server/builds/1/" in page
    # Two pages of one person would each tell half of it.
    assert led.headers["Location"] == here
    assert "/projects/server/builds/1/" not in browser.get(here).text


def test_an_address_that_is_none_is_asked_for_again(browser: TestClient, session: Session) -> None:
    here = f"/authors/{an_author(session).id.hex}/"

    assert post(browser, here, f"{here}addresses/", "<nobody>") == 400


def post(browser: TestClient, page: str, where: str, email: str) -> int:
    found = re.search(r'name="proof" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return int(browser.post(where, data={"email": email, "proof": found[1]}).status_code)
