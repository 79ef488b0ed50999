"""The search field of every page."""

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project


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


def test_signing_out_ends_the_session(browser: TestClient) -> None:
    answer = browser.post("/auth/logout/", follow_redirects=False)

    assert answer.headers["location"] == "/auth/login/"
    assert browser.get("/projects/", follow_redirects=False).status_code == 303


def test_another_site_cannot_sign_anybody_out(browser: TestClient) -> None:
    answer = browser.post("/auth/logout/", headers={"Origin": "https://evil.example"}, follow_redirects=False)

    assert answer.status_code == 403
    assert browser.get("/projects/").status_code == 200
