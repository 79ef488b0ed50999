"""Whose word about the visitor counts: that of the proxies in the settings, and nobody else's."""

import re
from ipaddress import ip_network

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_token, as_caller, olga
from tests.web.conftest import API, refused

from changes.base import clock
from changes.base.settings import Settings
from changes.people import users
from changes.people.models import User, WebSession
from changes.people.rules import Scope
from changes.web.auth import COOKIE

HEADER = "X-Forwarded-User"
PROXY, ELSEWHERE = "10.0.0.7", "10.0.1.7"
PAGE = {"Accept": "text/html"}


@pytest.fixture
def trusting(settings: Settings) -> Settings:
    object.__setattr__(settings, "trusted_proxy_header", HEADER)
    object.__setattr__(settings, "trusted_proxies", (ip_network("10.0.0.0/24"), ip_network("::1")))
    return settings


def from_address(app: FastAPI, address: str) -> TestClient:
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False, client=(address, 4711))


@pytest.fixture
def proxied(session: Session, app: FastAPI, trusting: Settings) -> TestClient:
    """Everything it asks comes through the trusted proxy."""
    return from_address(app, PROXY)


def who(client: TestClient, *names: str, header: str = HEADER) -> str:
    answer = client.get(f"{API}/auth/", headers=[(header, name) for name in names])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def test_the_proxy_says_who_asks(proxied: TestClient, session: Session) -> None:
    user = olga(session)

    assert who(proxied, user.email.upper()) == user.email


def test_an_ipv6_proxy_is_known_too(session: Session, app: FastAPI, trusting: Settings) -> None:
    assert who(from_address(app, "::1"), "olga@example.com") == "olga@example.com"
    assert who(from_address(app, f"::ffff:{PROXY}"), "olga@example.com") == "olga@example.com"


def test_somebody_new_becomes_a_user_at_first_sight(proxied: TestClient, session: Session) -> None:
    who(proxied, "new@example.com")
    who(proxied, "new@example.com")

    [user] = session.query(User).filter(User.email == "new@example.com")
    assert not user.is_admin


@pytest.mark.parametrize("address", [ELSEWHERE, "127.0.0.1", "::2", "testclient", ""])
def test_from_anywhere_else_the_header_means_nothing(
    session: Session, app: FastAPI, trusting: Settings, address: str
) -> None:
    assert who(from_address(app, address), "olga@example.com") == "anonymous"
    assert session.query(User).count() == 0


def test_a_visitor_who_claims_to_be_the_proxy_is_not_believed(
    session: Session, app: FastAPI, trusting: Settings
) -> None:
    client = from_address(app, ELSEWHERE)
    client.headers["X-Forwarded-For"] = PROXY

    assert who(client, "olga@example.com") == "anonymous"


def test_without_the_settings_nobody_is_believed(session: Session, app: FastAPI, settings: Settings) -> None:
    assert who(from_address(app, PROXY), "olga@example.com") == "anonymous"
    object.__setattr__(settings, "trusted_proxy_header", HEADER)
    assert who(from_address(app, PROXY), "olga@example.com") == "anonymous"


def test_another_header_means_nothing(proxied: TestClient) -> None:
    assert who(proxied, "olga@example.com", header="X-Remote-User") == "anonymous"


def test_a_proxy_that_adds_to_what_visitors_send_is_refused(proxied: TestClient) -> None:
    headers = [(HEADER, "olga@example.com"), (HEADER, "ravi@example.com")]

    told = refused(proxied.get(f"{API}/auth/", headers=headers), 400)

    assert "more than once" in told["error"]
    page = proxied.get("/account/", headers=[*headers, ("Accept", "text/html")])
    assert (page.status_code, "more than once" in page.text) == (400, True)


@pytest.mark.parametrize("name", ["olga", "olga@example.com, ravi@example.com", "<script>@x"])
def test_a_name_that_is_no_address_is_refused_or_taken_as_it_is(
    proxied: TestClient, session: Session, name: str
) -> None:
    answer = proxied.get(f"{API}/auth/", headers={HEADER: name})

    assert answer.status_code == (200 if name == "<script>@x" else 400)


def test_somebody_disabled_is_kept_out(proxied: TestClient, session: Session) -> None:
    user = olga(session)
    user.date_disabled = clock.now()
    session.flush()

    assert "disabled" in refused(proxied.get(f"{API}/auth/", headers={HEADER: user.email}), 403)["error"]


def test_a_token_counts_more_than_the_header(proxied: TestClient, session: Session) -> None:
    headers = {HEADER: "olga@example.com", **as_caller(a_token(session, Scope.READ))}

    assert proxied.get(f"{API}/auth/", headers=headers).json()["scope"] == "read"


def test_a_proxied_form_needs_the_proof_of_its_page(proxied: TestClient, session: Session) -> None:
    who_asks = {HEADER: olga(session).email, **PAGE}
    page = proxied.get("/account/", headers=who_asks).text
    proof = re.findall(r'name="proof" value="([0-9a-f]+)"', page)[0]

    without = proxied.post("/account/appearance/", data={"theme": "dark"}, headers=who_asks)
    with_it = proxied.post("/account/appearance/", data={"theme": "dark", "proof": proof}, headers=who_asks)
    others = proxied.post(
        "/account/appearance/",
        data={"theme": "light", "proof": proof},
        headers={**who_asks, HEADER: "r@example.com"},
    )

    assert (without.status_code, with_it.status_code, others.status_code) == (403, 303, 403)


def test_the_sign_in_page_leads_on_who_came_through_the_proxy(proxied: TestClient) -> None:
    answer = proxied.get("/auth/login/?next=/nodes/", headers={HEADER: "olga@example.com", **PAGE})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/nodes/")


@pytest.mark.parametrize(
    ("chain", "seen"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.9", "192.0.2.1"),
        ("nonsense", "nonsense"),
        ("", PROXY),
    ],
)
def test_the_visitors_address_is_the_last_that_is_no_proxy(
    proxied: TestClient, session: Session, chain: str, seen: str
) -> None:
    link = users.make_link(session, olga(session))

    proxied.post(f"/auth/link/{link}/", headers={"X-Forwarded-For": chain})

    assert session.query(WebSession).one().address == seen
    assert COOKIE in proxied.cookies


def test_who_comes_directly_cannot_choose_an_address(
    session: Session, app: FastAPI, trusting: Settings
) -> None:
    link = users.make_link(session, olga(session))

    from_address(app, ELSEWHERE).post(f"/auth/link/{link}/", headers={"X-Forwarded-For": "192.0.2.1"})

    assert session.query(WebSession).one().address == ELSEWHERE


def test_the_scheme_of_the_visitor_is_told_by_the_proxy_only(
    session: Session, app: FastAPI, trusting: Settings
) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    schemes = [
        from_address(app, address).get("/projects", headers=headers).headers["Location"].partition(":")[0]
        for address in (PROXY, ELSEWHERE)
    ]

    assert schemes == ["https", "http"]
