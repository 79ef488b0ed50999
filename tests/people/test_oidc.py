"""What a provider is told, and what is made of its answers; tests/web/test_provider.py goes the whole way."""

from typing import Any

import httpx
import pytest

from changes.people import oidc
from changes.people.oidc import Confirmed, NotConfirmed, Provider, ProviderAway

PROVIDER = Provider(
    "Example", "https://login.example.com", "changes", "a secret", "https://changes.test/back"
)
PUBLIC = Provider("Example", "https://login.example.com", "changes", None, "https://changes.test/back")
BASIC, POST = "client_secret_basic", "client_secret_post"


@pytest.mark.parametrize("ways", [None, [], [BASIC], [POST, BASIC]])
def test_the_secret_goes_into_the_header_where_it_may(ways: list[str] | None) -> None:
    told = oidc.who_we_are(PROVIDER, {"token_endpoint_auth_methods_supported": ways})

    assert list(told) == ["auth"]
    assert isinstance(told["auth"], httpx.BasicAuth)


def test_otherwise_it_goes_into_the_form() -> None:
    told = oidc.who_we_are(PROVIDER, {"token_endpoint_auth_methods_supported": [POST]})

    assert (told["client_id"], told["client_secret"]) == ("changes", "a secret")


def test_a_public_client_says_its_name_only() -> None:
    told = oidc.who_we_are(PUBLIC, {"token_endpoint_auth_methods_supported": [BASIC]})

    assert (told["client_id"], "client_secret" in told) == ("changes", False)


def answering(answer: Any, status: int = 200) -> httpx.Client:
    def answer_all(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=answer)

    return httpx.Client(transport=httpx.MockTransport(answer_all))


@pytest.mark.parametrize(
    ("answer", "status"),
    [({"issuer": "https://evil.example"}, 200), ({}, 200), ([], 200), ({"issuer": PROVIDER.issuer}, 404)],
)
def test_metadata_must_be_of_the_issuer_that_is_set(answer: object, status: int) -> None:
    with pytest.raises(ProviderAway):
        oidc.metadata_of(PROVIDER, answering(answer, status))


def test_a_slash_at_the_end_of_an_issuer_is_its_own_business() -> None:
    metadata = oidc.metadata_of(PROVIDER, answering({"issuer": f"{PROVIDER.issuer}/"}))

    assert metadata["issuer"] == f"{PROVIDER.issuer}/"


def test_an_address_that_is_told_apart_is_asked_for() -> None:
    http = answering({"sub": "7", "email": "olga@example.com", "email_verified": True, "aud": "else"})
    metadata = {"userinfo_endpoint": "https://login.example.com/me"}

    told = oidc.more_about(PROVIDER, http, metadata, ({"access_token": "t"}, {"sub": "7"}))

    assert told == {"email": "olga@example.com", "email_verified": True}


def test_what_is_told_about_somebody_else_is_not_listened_to() -> None:
    http = answering({"sub": "8", "email": "olga@example.com", "email_verified": True})
    metadata = {"userinfo_endpoint": "https://login.example.com/me"}

    assert oidc.more_about(PROVIDER, http, metadata, ({}, {"sub": "7"})) == {}


def test_an_address_counts_when_it_is_verified() -> None:
    claims = {"email": " Olga@Example.com", "email_verified": "true", "hd": "Example.com"}

    assert oidc.confirmed(PROVIDER, claims) == Confirmed("olga@example.com", "example.com")
    for unverified in (False, None, "yes", 2):
        with pytest.raises(NotConfirmed):
            oidc.confirmed(PROVIDER, claims | {"email_verified": unverified})
