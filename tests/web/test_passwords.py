"""Signing in with a password: what is right, what is wrong, and how often."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga
from tests.web.conftest import API, answered

from changes.base import clock
from changes.base.settings import Settings
from changes.people import limits, passwords, users
from changes.people.models import Tries, User, WebSession
from changes.web.auth import COOKIE

PASSWORD = "correct horse battery"
WRONG = {"password": "not my password"}


@pytest.fixture
def user(session: Session) -> User:
    user = olga(session)
    passwords.set_password(user, PASSWORD)
    session.flush()
    return user


@pytest.fixture
def visitor(client: TestClient) -> TestClient:
    client.headers["Accept"] = "text/html"
    return client


def sign_in(visitor: TestClient, email: str, password: str = PASSWORD) -> int:
    given = {"email": email, "password": password}
    return answered(visitor.post("/auth/password/", data=given)).status_code


def test_the_right_password_signs_in_and_leads_on(visitor: TestClient, user: User) -> None:
    answer = visitor.post(
        "/auth/password/", data={"email": user.email, "password": PASSWORD, "next": "/nodes/?page=2"}
    )

    assert (answer.status_code, answer.headers["Location"]) == (303, "/nodes/?page=2")
    assert visitor.get(f"{API}/auth/").json()["name"] == user.email


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/auth/login/"]
)
def test_it_never_leads_away_from_here(visitor: TestClient, user: User, wanted: str) -> None:
    answer = visitor.post("/auth/password/", data={"email": user.email, "password": PASSWORD, "next": wanted})

    assert answer.headers["Location"] == "/"


def test_the_form_carries_where_the_reader_wanted_to_go(visitor: TestClient) -> None:
    led = visitor.get("/projects/web/?result=failed").headers["Location"]

    page = visitor.get(led).text

    assert 'name="next" value="/projects/web/?result=failed"' in page


def test_a_wrong_password_is_told_on_the_same_page(visitor: TestClient, user: User) -> None:
    known = visitor.post("/auth/password/", data={"email": user.email, "next": "/nodes/", **WRONG})
    unknown = visitor.post(
        "/auth/password/", data={"email": "nobody@example.com", "next": "/nodes/", **WRONG}
    )

    assert (known.status_code, unknown.status_code) == (403, 403)
    assert passwords.WRONG in known.text
    assert 'value="/nodes/"' in known.text
    assert f'value="{user.email}"' in known.text
    assert WRONG["password"] not in known.text
    hidden = re.compile(r'name="(proof|once)" value="\w+"')
    assert hidden.sub("", known.text.replace(user.email, "X")) == hidden.sub(
        "", unknown.text.replace("nobody@example.com", "X")
    )
    assert "Set-Cookie" not in known.headers


def test_too_many_wrong_ones_close_the_account_for_a_while(
    visitor: TestClient, session: Session, user: User
) -> None:
    statuses = [sign_in(visitor, user.email, "wrong") for _ in range(limits.PASSWORD_OF_ACCOUNT.tries)]

    answer = visitor.post("/auth/password/", data={"email": f" {user.email.upper()}", "password": PASSWORD})

    assert set(statuses) == {403}
    assert answer.status_code == 429
    assert "Please wait 15 minutes" in answer.text
    assert 800 < int(answer.headers["Retry-After"]) <= 900
    session.execute(update(Tries).values(date_window_began=clock.now() - timedelta(minutes=16)))
    assert sign_in(visitor, user.email) == 303


def test_an_unknown_account_is_closed_just_the_same(visitor: TestClient) -> None:
    statuses = [sign_in(visitor, "nobody@example.com") for _ in range(limits.PASSWORD_OF_ACCOUNT.tries + 1)]

    assert statuses[-2:] == [403, 429]


def test_the_right_password_forgets_the_wrong_ones(visitor: TestClient, user: User) -> None:
    for _ in range(3):
        wrong = [sign_in(visitor, user.email, "wrong") for _ in range(limits.PASSWORD_OF_ACCOUNT.tries - 1)]
        assert set(wrong) == {403}
        assert sign_in(visitor, user.email) == 303


def test_one_address_cannot_try_many_accounts(
    visitor: TestClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = limits.Limit("password from", 5, timedelta(minutes=15))
    monkeypatch.setattr(limits, "PASSWORD_FROM_ADDRESS", few)

    statuses = [sign_in(visitor, f"{number}@example.com") for number in range(6)]

    assert statuses == [403] * 5 + [429]


def test_a_form_on_another_site_signs_nobody_in(visitor: TestClient, user: User) -> None:
    answer = visitor.post(
        "/auth/password/",
        data={"email": user.email, "password": PASSWORD},
        headers={"Origin": "https://evil.example"},
    )

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_a_stranger_may_not_send_much(visitor: TestClient) -> None:
    assert sign_in(visitor, "x" * 20_000) == 413


def test_signing_in_again_ends_the_session_this_browser_had(
    visitor: TestClient, session: Session, user: User
) -> None:
    sign_in(visitor, user.email)
    first = visitor.cookies[COOKIE]

    sign_in(visitor, user.email)

    assert users.signed_in(session, first) is None
    assert session.query(WebSession).count() == 1


def test_who_is_signed_in_already_is_led_on(visitor: TestClient, user: User) -> None:
    sign_in(visitor, user.email)

    answer = visitor.get("/auth/login/?next=/plans/")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/plans/")


def test_where_the_site_is_https_only_this_site_can_set_the_cookie(
    visitor: TestClient, user: User, settings: Settings
) -> None:
    object.__setattr__(settings, "base_url", "https://testserver")
    visitor.base_url = visitor.base_url.copy_with(scheme="https")

    answer = visitor.post("/auth/password/", data={"email": user.email, "password": PASSWORD})

    [cookie] = [each for each in answer.headers.get_list("Set-Cookie") if COOKIE in each]
    assert cookie.startswith(f"__Host-{COOKIE}=chg_")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert visitor.get("/account/").status_code == 200


def test_the_taste_of_a_user_comes_to_a_new_browser(visitor: TestClient, user: User) -> None:
    user.theme, user.is_colorblind = "dark", True

    sign_in(visitor, user.email)

    assert '<html lang="en" data-theme="dark" data-palette="safe">' in visitor.get("/account/").text


def test_who_never_chose_keeps_what_the_browser_shows(visitor: TestClient, user: User) -> None:
    visitor.cookies.set("changes_theme", "dark")

    sign_in(visitor, user.email)

    assert 'data-theme="dark"' in visitor.get("/account/").text
