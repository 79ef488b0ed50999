"""Signing in with a one-time link, and the first pages."""

import re

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, olga
from tests.web.conftest import API

from changes.base import clock
from changes.base.settings import Settings
from changes.people import users
from changes.people.models import SignInLink, WebSession
from changes.web.auth import COOKIE, proof_for


@pytest.fixture
def link(session: Session) -> str:
    return f"/auth/link/{users.make_link(session, olga(session))}/"


def test_a_stranger_is_led_to_the_page_about_signing_in(client: TestClient) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/auth/login/")
    assert "changes user link" in client.get("/auth/login/").text


def test_opening_the_link_changes_nothing(client: TestClient, session: Session, link: str) -> None:
    page = client.get(link)

    assert page.status_code == 200
    assert f'action="{link}"' in page.text
    assert session.query(WebSession).count() == 0


def test_the_button_signs_in(client: TestClient, session: Session, link: str) -> None:
    answer = client.post(link)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert client.get(f"{API}/auth/").json()["user"]["isAdmin"] is True


def test_the_cookie_is_for_this_site_only_and_not_for_scripts(client: TestClient, link: str) -> None:
    cookie = client.post(link).headers.get_list("Set-Cookie")[0]

    assert re.fullmatch(rf"{COOKIE}=chg_[\w-]+; HttpOnly; Max-Age=34560000; Path=/; SameSite=lax", cookie), (
        cookie
    )


def test_the_cookie_is_for_https_where_the_site_is(client: TestClient, link: str, settings: Settings) -> None:
    object.__setattr__(settings, "base_url", "https://changes.test")

    assert "; Secure" in client.post(link).headers["Set-Cookie"]


def test_only_a_digest_of_the_cookie_is_kept(client: TestClient, session: Session, link: str) -> None:
    client.post(link)

    assert client.cookies[COOKIE] not in str([row.digest for row in session.query(WebSession)])


def test_a_link_works_once(client: TestClient, session: Session, link: str) -> None:
    client.post(link)

    again = client.post(link)

    assert again.status_code == 403
    assert "used already" in again.text
    assert "Set-Cookie" not in again.headers
    assert session.query(WebSession).count() == 1


def test_an_old_link_is_refused(client: TestClient, session: Session, link: str) -> None:
    session.execute(update(SignInLink).values(date_expires=clock.now()))

    assert client.post(link).status_code == 403


@pytest.mark.parametrize("secret", ["wrong", "%00", "%3Cscript%3E", "x" * 3000])
def test_a_link_nobody_made_is_refused(client: TestClient, secret: str) -> None:
    answer = client.post(f"/auth/link/{secret}/")

    assert answer.status_code in (403, 404)
    assert "<script>" not in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example"])
def test_a_form_on_another_site_signs_nobody_in(client: TestClient, link: str, origin: str) -> None:
    answer = client.post(link, headers={"Origin": origin})

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert client.post(link, headers={"Origin": "http://testserver"}).status_code == 303


def test_an_ended_session_is_nobody(client: TestClient, session: Session, link: str) -> None:
    client.post(link)
    session.execute(update(WebSession).values(date_expires=clock.now()))

    assert client.get(f"{API}/auth/").json()["authenticated"] is False


def test_the_first_page_shows_builds_and_escapes_them(
    client: TestClient, session: Session, link: str
) -> None:
    build = a_build(session)
    build.label = "<script>alert(1)</script>"
    session.flush()
    client.post(link)

    page = client.get("/")

    assert page.status_code == 200
    assert build.project.slug in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert(1)" not in page.text


@pytest.mark.parametrize("path", ["/", "/auth/login/", "/auth/link/x/"])
def test_pages_allow_our_own_content_only(client: TestClient, link: str, path: str) -> None:
    if path == "/":
        client.post(link)

    headers = client.get(path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.front_end
def test_static_files_are_served_and_kept_by_browsers(client: TestClient) -> None:
    first = client.get("/static/style.css")

    again = client.get("/static/style.css", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.front_end
@pytest.mark.parametrize("path", ["/static/nothing.css", "/static/%2e%2e/web.py", "/static/..%2fshapes.py"])
def test_nothing_else_is_served_as_static(client: TestClient, path: str) -> None:
    assert client.get(f"http://testserver{path}").status_code == 404


# --- back to where somebody came from, and out --------------------------------------------


def test_a_link_leads_to_the_page_that_was_asked_for(client: TestClient, link: str) -> None:
    client.get("/auth/login/?next=/nodes/%3Fpage%3D2")

    page = client.get(link).text
    answer = client.post(link, data={"next": "/nodes/?page=2"})

    assert 'name="next" value="/nodes/?page=2"' in page
    assert answer.headers["Location"] == "/nodes/?page=2"


def test_a_link_may_say_itself_where_it_leads(client: TestClient, link: str) -> None:
    assert 'value="/plans/"' in client.get(f"{link}?next=/plans/").text
    assert 'value="/"' in client.get(f"{link}?next=//evil.example").text


def test_signing_out_ends_the_session_and_needs_the_proof(
    client: TestClient, session: Session, link: str
) -> None:
    client.post(link)
    cookie = client.cookies[COOKIE]

    without = client.post("/auth/logout/")
    answer = client.post("/auth/logout/", data={"proof": proof_for(cookie)})

    assert without.status_code == 403
    assert (answer.status_code, answer.headers["Location"]) == (303, "/auth/login/")
    assert COOKIE not in client.cookies
    assert users.signed_in(session, cookie) is None


def test_who_was_signed_out_already_is_not_stopped(client: TestClient, session: Session, link: str) -> None:
    client.post(link)
    session.execute(update(WebSession).values(date_expires=clock.now()))

    assert client.post("/auth/logout/").status_code == 303


def test_a_session_remembers_its_browser(client: TestClient, session: Session, link: str) -> None:
    client.post(link, headers={"User-Agent": "Firefox/140" + "x" * 400})

    [kept] = session.query(WebSession)
    assert kept.user_agent.startswith("Firefox/140")
    assert len(kept.user_agent) == users.USER_AGENT_MAX
    assert kept.address == "testclient"
