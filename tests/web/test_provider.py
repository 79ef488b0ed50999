"""Signing in at a real OpenID provider, and everything that may go wrong on the way."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga
from tests.web.conftest import API, answered
from tests.web.provider import Provider, free_port, leaves, path_of, problem_on, running_provider, said_in

from changes.base import clock
from changes.base.settings import Settings
from changes.people import accounts, limits, oidc
from changes.people.models import ProviderVisit, User, WebSession
from changes.web.auth import COOKIE
from changes.web.pages.provider import STATE_COOKIE

pytestmark = pytest.mark.system
MINE = "/projects/web/?result=failed"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def configured(settings: Settings, provider: Provider) -> Settings:
    given = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": "changes",
        "oidc_client_secret": "a secret",
        "oidc_name": "Example",
        "oidc_domains": ("example.com",),
        "base_url": "http://testserver",
    }
    for name, value in given.items():
        object.__setattr__(settings, name, value)
    provider.knows("kim", email="Kim@Example.com", email_verified=True)
    return settings


@pytest.fixture
def visitor(client: TestClient, configured: Settings) -> TestClient:
    client.headers["Accept"] = "text/html"
    return client


def who(visitor: TestClient) -> str:
    return str(visitor.get(f"{API}/auth/").json()["name"])


def refusal(visitor: TestClient, back: str, status: int = 403) -> str:
    answer = answered(visitor.get(path_of(back)))
    assert answer.status_code == status, answer.text
    assert COOKIE not in answer.headers.get("Set-Cookie", "")
    return problem_on(answer.text)


def test_the_sign_in_page_has_a_button_that_keeps_the_way(visitor: TestClient) -> None:
    page = visitor.get("/auth/login/", params={"next": MINE}).text

    assert "Sign in with Example" in page
    assert 'href="/auth/provider/?next=%2Fprojects%2Fweb%2F%3Fresult%3Dfailed"' in page


def test_without_settings_there_is_no_button_and_no_way(client: TestClient, settings: Settings) -> None:
    client.headers["Accept"] = "text/html"

    assert "Sign in with" not in client.get("/auth/login/").text
    assert client.get("/auth/provider/").status_code == 404


def test_consent_makes_a_user_signs_in_and_leads_back(
    visitor: TestClient, session: Session, provider: Provider
) -> None:
    back = provider.consents(leaves(visitor, MINE), "kim")

    answer = visitor.get(path_of(back))

    assert (answer.status_code, answer.headers["Location"]) == (303, MINE)
    assert who(visitor) == "kim@example.com"
    [user] = session.query(User)
    assert (user.is_admin, user.password_hash) == (False, None)
    assert STATE_COOKIE not in visitor.cookies


def test_who_is_a_user_already_stays_the_same_one(
    visitor: TestClient, session: Session, provider: Provider
) -> None:
    user = olga(session)
    provider.knows("olga", email=user.email, email_verified=True)

    visitor.get(path_of(provider.consents(leaves(visitor), "olga")))

    told = visitor.get(f"{API}/auth/").json()["user"]
    assert (told["id"], told["isAdmin"]) == (user.id.hex, True)


def test_the_request_carries_challenge_state_and_nonce(visitor: TestClient, session: Session) -> None:
    said = said_in(leaves(visitor))

    [visit] = session.query(ProviderVisit)
    assert said["code_challenge_method"] == "S256"
    assert visit.verifier not in said.values()
    assert said["nonce"] == visit.nonce
    assert said["state"] == visitor.cookies[STATE_COOKIE]
    assert said["state"] not in (visit.digest, visit.nonce)
    assert (said["response_type"], said["scope"]) == ("code", "openid email")
    assert said["redirect_uri"] == "http://testserver/auth/complete/"
    assert "hd" not in said


def test_who_says_no_is_told_so(visitor: TestClient, provider: Provider) -> None:
    back = provider.denies(leaves(visitor))
    # This provider forgets the state in a refusal, which the standard asks for.
    state = visitor.cookies[STATE_COOKIE]

    assert "did not allow Example" in refusal(visitor, f"{back}&state={state}")


def test_an_account_of_another_domain_is_refused(
    visitor: TestClient, session: Session, provider: Provider
) -> None:
    provider.knows("eve", email="eve@evil.example", email_verified=True)

    told = refusal(visitor, provider.consents(leaves(visitor), "eve"))

    assert told == "eve@evil.example is not an account of example.com. Choose another account."
    assert session.query(User).count() == 0


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email_verified": "false"}, {}])
def test_an_address_that_is_not_verified_is_refused(
    visitor: TestClient, session: Session, provider: Provider, claims: dict[str, object]
) -> None:
    provider.knows("mallory", email="kim@example.com", **claims)

    assert "has not verified" in refusal(visitor, provider.consents(leaves(visitor), "mallory"))
    assert session.query(User).count() == 0


def test_an_account_without_an_address_is_refused(visitor: TestClient, provider: Provider) -> None:
    provider.knows("nameless")

    assert "did not tell your e-mail" in refusal(visitor, provider.consents(leaves(visitor), "nameless"))


def test_without_domains_only_users_get_in(
    visitor: TestClient, session: Session, provider: Provider, configured: Settings
) -> None:
    object.__setattr__(configured, "oidc_domains", ())
    user = olga(session)
    provider.knows("olga", email=user.email, email_verified=True)

    told = refusal(visitor, provider.consents(leaves(visitor), "kim"))
    visitor.get(path_of(provider.consents(leaves(visitor), "olga")))

    assert "Nobody has let kim@example.com in yet" in told
    assert who(visitor) == user.email


def test_a_disabled_user_stays_out(visitor: TestClient, session: Session, provider: Provider) -> None:
    olga(session)
    user = olga(session)
    accounts.disable(session, user)
    provider.knows("gone", email=user.email, email_verified=True)

    assert "disabled" in refusal(visitor, provider.consents(leaves(visitor), "gone"))


def test_coming_back_twice_signs_in_once(visitor: TestClient, session: Session, provider: Provider) -> None:
    address = leaves(visitor)
    state = visitor.cookies[STATE_COOKIE]
    back = provider.consents(address, "kim")
    visitor.get(path_of(back))
    visitor.cookies.set(STATE_COOKIE, state)

    told = refusal(visitor, back)

    assert "finished already" in told
    assert session.query(WebSession).count() == 1


def test_somebody_elses_way_back_signs_nobody_in(
    visitor: TestClient, session: Session, provider: Provider
) -> None:
    """Or a link could sign a victim in as its author."""
    back = provider.consents(leaves(visitor), "kim")
    visitor.cookies.clear()

    without_cookie = refusal(visitor, back)
    leaves(visitor)
    with_another = refusal(visitor, back)

    assert "another browser" in without_cookie
    assert "another browser" in with_another
    assert session.query(WebSession).count() == 0


def test_who_takes_too_long_starts_again(visitor: TestClient, session: Session, provider: Provider) -> None:
    back = provider.consents(leaves(visitor), "kim")
    session.execute(update(ProviderVisit).values(date_expires=clock.now() - timedelta(seconds=1)))

    assert "took too long" in refusal(visitor, back)


def test_a_token_with_another_nonce_is_refused(
    visitor: TestClient, session: Session, provider: Provider
) -> None:
    address = leaves(visitor)
    nonce = said_in(address)["nonce"]

    back = provider.consents(address.replace(nonce, "of-another-visit"), "kim")

    assert "does not fit this sign-in" in refusal(visitor, back)
    assert session.query(User).count() == 0


def test_a_token_for_another_client_is_refused(
    visitor: TestClient, provider: Provider, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = provider.consents(leaves(visitor), "kim")
    real = oidc.exchange

    def with_another_client(them: oidc.Provider, *more: object) -> dict[str, object]:
        object.__setattr__(them, "client_id", "changes")
        tokens = real(them, *more)  # type: ignore[arg-type]
        object.__setattr__(them, "client_id", "somebody-else")
        return tokens

    monkeypatch.setattr(oidc, "exchange", with_another_client)

    assert "does not fit this sign-in" in refusal(visitor, back)


@pytest.mark.parametrize("said", ["code=made-up", "error=server_error", ""])
def test_what_the_provider_never_said_is_refused(visitor: TestClient, said: str) -> None:
    leaves(visitor)

    told = refusal(visitor, f"http://testserver/auth/complete/?state={visitor.cookies[STATE_COOKIE]}&{said}")

    assert "Please start again" in told


def test_a_provider_that_is_away_is_told_so(visitor: TestClient, configured: Settings) -> None:
    object.__setattr__(configured, "oidc_issuer", f"http://127.0.0.1:{free_port()}")

    answer = visitor.get("/auth/provider/")

    assert answer.status_code == 503
    assert problem_on(answer.text) == "Example does not answer. Please try again."


def test_a_provider_that_goes_away_meanwhile_is_told_so(
    visitor: TestClient, provider: Provider, configured: Settings
) -> None:
    back = provider.consents(leaves(visitor), "kim")
    object.__setattr__(configured, "oidc_issuer", f"http://127.0.0.1:{free_port()}")

    assert "does not answer" in refusal(visitor, back, 503)


def test_a_provider_under_another_name_is_not_trusted(
    visitor: TestClient, provider: Provider, configured: Settings
) -> None:
    object.__setattr__(configured, "oidc_issuer", provider.issuer.replace("127.0.0.1", "localhost") + "/..")

    assert visitor.get("/auth/provider/").status_code == 503


def test_nobody_begins_without_end(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    one = limits.Limit("provider from", 1, timedelta(minutes=15))
    monkeypatch.setattr(limits, "PROVIDER_FROM_ADDRESS", one)
    leaves(visitor)

    answer = visitor.get("/auth/provider/")

    assert answer.status_code == 429
    assert "Too many tries" in problem_on(answer.text)
