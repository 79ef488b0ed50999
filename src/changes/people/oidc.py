"""OpenID Connect: the code flow with PKCE, state and nonce. Who signs in is decided by the callers.

This file brings an HTTP client and cryptography with it (15 MB), so import it where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx
from authlib.common.security import generate_token  # type: ignore[import-untyped]
from authlib.oauth2.base import OAuth2Error  # type: ignore[import-untyped]
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from changes.base.errors import Forbidden, Unavailable

DISCOVERY = "/.well-known/openid-configuration"
SCOPE = "openid email"
TIMEOUT_S = 10
VERIFIER_CHARS = 64
CLOCKS_DIFFER_S = 60
# Signed with a key of the provider's: neither "none", nor one that is made of our own secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
IN_HEADER = "client_secret_basic"
ABOUT = ("email", "email_verified", "hd")
# Some say it in JSON, some in words.
VERIFIED = (True, "true")
AGAIN = "Please start again from the sign-in page."
Json = dict[str, Any]


class ProviderAway(Unavailable):
    """The provider does not answer, or nothing that makes sense."""


class NotConfirmed(Forbidden):
    """The provider answered, and what it said does not open the door."""


@dataclass(frozen=True)
class Provider:
    name: str
    issuer: str
    client_id: str
    client_secret: str | None
    return_to: str
    hosted_domain: str = ""


@dataclass(frozen=True)
class Visit:
    """What is made up when somebody leaves for the provider, and must fit when they come back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Confirmed:
    """What the provider says of somebody; the address is one it has verified."""

    email: str
    hosted_domain: str | None


def new_visit(state: str) -> Visit:
    return Visit(state, generate_token(VERIFIER_CHARS), generate_token(VERIFIER_CHARS))


def address_of(provider: Provider, visit: Visit) -> str:
    """Where the browser is sent."""
    with conversation() as http:
        more = {"hd": provider.hosted_domain} if provider.hosted_domain else {}
        address, _ = client(provider, http).create_authorization_url(
            text_of(provider, metadata_of(provider, http), "authorization_endpoint"),
            state=visit.state,
            nonce=visit.nonce,
            code_verifier=visit.verifier,
            **more,
        )
        return str(address)


def confirm(provider: Provider, visit: Visit, code: str) -> Confirmed:
    """Exchanges the code and checks what comes for it."""
    with conversation() as http:
        metadata = metadata_of(provider, http)
        tokens = exchange(provider, http, metadata, (visit, code))
        keys = read_json(provider, http.get, text_of(provider, metadata, "jwks_uri"))
        claims = checked_claims(provider, visit, tokens, (str(metadata["issuer"]), keys))
        return confirmed(provider, claims | more_about(provider, http, metadata, (tokens, claims)))


def conversation() -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT_S, headers={"Accept": "application/json"})


def client(provider: Provider, http: httpx.Client) -> Any:
    return OAuth2Client(
        http,
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        scope=SCOPE,
        redirect_uri=provider.return_to,
        code_challenge_method="S256",
    )


def metadata_of(provider: Provider, http: httpx.Client) -> Json:
    """Asked for each time: people sign in rarely, and what is not kept is never out of date."""
    metadata = read_json(provider, http.get, provider.issuer + DISCOVERY)
    # Some issuers end with a slash, and all tokens name them exactly so.
    if str(metadata.get("issuer", "")).rstrip("/") != provider.issuer:
        raise ProviderAway(f"{provider.name} says that it is another provider than the settings name.")
    return metadata


def read_json(provider: Provider, ask: Callable[..., httpx.Response], url: str, **more: Any) -> Json:
    try:
        answer = ask(url, **more).raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProviderAway(f"{provider.name} does not answer. Please try again.") from error
    if not isinstance(answer, dict):
        raise ProviderAway(f"{provider.name} answered something else than was asked.")
    return answer


def text_of(provider: Provider, metadata: Json, name: str) -> str:
    text = metadata.get(name)
    if not isinstance(text, str):
        raise ProviderAway(f"{provider.name} does not tell its {name}.")
    return text


def exchange(provider: Provider, http: httpx.Client, metadata: Json, given: tuple[Visit, str]) -> Json:
    visit, code = given
    try:
        tokens = client(provider, http).fetch_token(
            text_of(provider, metadata, "token_endpoint"),
            grant_type="authorization_code",
            code=code,
            redirect_uri=provider.return_to,
            code_verifier=visit.verifier,
            **who_we_are(provider, metadata),
        )
    except OAuth2Error as error:
        raise NotConfirmed(f"{provider.name} did not accept this sign-in. {AGAIN}") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProviderAway(f"{provider.name} does not answer. Please try again.") from error
    return dict(tokens)


def who_we_are(provider: Provider, metadata: Json) -> dict[str, Any]:
    """The secret goes into the header where the provider takes it there, and that is the default."""
    if provider.client_secret is None:
        return {"auth": httpx.Auth(), "client_id": provider.client_id}
    ways = metadata.get("token_endpoint_auth_methods_supported") or [IN_HEADER]
    if IN_HEADER in ways:
        return {"auth": httpx.BasicAuth(provider.client_id, provider.client_secret)}
    return {
        "auth": httpx.Auth(),
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
    }


def checked_claims(provider: Provider, visit: Visit, tokens: Json, signer: tuple[str, Json]) -> Json:
    """Signed by this provider, for us, for this visit, and not over."""
    issuer, keys = signer
    params = {"nonce": visit.nonce, "client_id": provider.client_id}
    try:
        key_set = KeySet.import_key_set(cast("Any", keys))
        token = jwt.decode(str(tokens.get("id_token", "")), key_set, algorithms=ALGORITHMS)
        options = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": provider.client_id},
        }
        claims = CodeIDToken(
            token.claims, token.header, options, params | {"access_token": tokens.get("access_token")}
        )
        claims.validate(leeway=CLOCKS_DIFFER_S)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise NotConfirmed(f"What {provider.name} sent does not fit this sign-in. {AGAIN}") from error
    return dict(claims)


def more_about(provider: Provider, http: httpx.Client, metadata: Json, known: tuple[Json, Json]) -> Json:
    """Many providers tell the address only here. What is about somebody else is not listened to."""
    tokens, claims = known
    if "email" in claims or "userinfo_endpoint" not in metadata:
        return {}
    headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
    url = text_of(provider, metadata, "userinfo_endpoint")
    told = read_json(provider, http.get, url, headers=headers)
    return {name: told[name] for name in ABOUT if name in told} if told.get("sub") == claims["sub"] else {}


def confirmed(provider: Provider, claims: Json) -> Confirmed:
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise NotConfirmed(f"{provider.name} did not tell your e-mail address.")
    if claims.get("email_verified") not in VERIFIED:
        raise NotConfirmed(
            f"{provider.name} has not verified that {email} is yours."
            " Confirm the address there and try again."
        )
    hosted = claims.get("hd")
    return Confirmed(email.strip().lower(), str(hosted).lower() if hosted else None)
