"""The search field of every page."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project, a_source, an_author
from tests.finished import an_ended_build

from changes.builds.rules import Result


def test_a_project_is_found_by_a_part_of_its_name(browser: TestClient, session: Session) -> None:
    a_project(session, "payments-api")

    page = browser.get("/search/", params={"q": "MENTS"}).text

    assert 'href="/projects/payments-api/"' in page


def test_a_build_is_found_by_its_commit(browser: TestClient, session: Session) -> None:
    build = a_build(session, a_project(session, "ledger"))

    page = browser.get("/search/", params={"q": build.target[:7]}).text

    assert f'href="/projects/ledger/builds/{build.number}/"' in page


def test_nothing_found_says_what_can_be_found(browser: TestClient) -> None:
    assert "Nothing was found" in browser.get("/search/", params={"q": "no such thing"}).text


def test_what_was_typed_is_only_text(browser: TestClient) -> None:
    page = browser.get("/search/", params={"q": "<script>alert(1)</script>"}).text

    assert "<script>alert" not in page


def test_a_stranger_is_sent_to_sign_in(client: TestClient) -> None:
    answer = client.get(
        "/search/", params={"q": "x"}, headers={"Accept": "text/html"}, follow_redirects=False
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/login/?next=%2Fsearch%2F%3Fq%3Dx")


@pytest.mark.parametrize("text", ["ledger 1", "ledger #1", "edge#1", "#1"])
def test_a_build_is_found_the_way_people_call_it(browser: TestClient, session: Session, text: str) -> None:
    an_ended_build(session, a_project(session, "ledger"))

    assert 'href="/projects/ledger/builds/1/"' in browser.get("/search/", params={"q": text}).text


def test_an_author_is_found_by_name_and_address(browser: TestClient, session: Session) -> None:
    author = an_author(session)

    for text in (author.name.upper(), author.email):
        assert f'href="/authors/{author.id.hex}/"' in browser.get("/search/", params={"q": text}).text


def test_a_commit_is_found_by_its_sha(browser: TestClient, session: Session) -> None:
    a_source(session, a_project(session, "ledger"), sha="ab" * 20)

    page = browser.get("/search/", params={"q": "ABABAB"}).text

    assert f'href="/projects/ledger/commits/{"ab" * 20}/"' in page


def test_the_palette_offers_what_the_search_finds(browser: TestClient, session: Session) -> None:
    an_ended_build(session, a_project(session, "ledger"), Result.FAILED)

    items = browser.get("/palette.json", params={"q": "ledger 1"}).json()["items"]

    assert items == [
        {"label": "ledger #1 A build", "group": "Build, failed", "href": "/projects/ledger/builds/1/"}
    ]


def test_the_palette_offers_little_and_nothing_for_nothing(browser: TestClient, session: Session) -> None:
    for number in range(9):
        a_project(session, f"same-{number}")

    assert len(browser.get("/palette.json", params={"q": "same"}).json()["items"]) == 6
    assert browser.get("/palette.json", params={"q": "  "}).json() == {"items": []}


def test_a_stranger_gets_nothing_from_the_palette(client: TestClient) -> None:
    assert client.get("/palette.json", params={"q": "x"}, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("path", ["/search/?q=abababab", "/palette.json?q=abababab"])
def test_a_search_asks_no_more_than_eight_questions(
    session: Session, questions: Callable[[str], int], path: str
) -> None:
    project = a_project(session, "abababab")
    for _ in range(3):
        an_ended_build(session, project).label = "abababab"

    assert questions(path) <= 8
