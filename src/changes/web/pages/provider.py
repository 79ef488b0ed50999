"""Signing in at a provider: there with a state, a nonce and a challenge, and back again."""

import hmac
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from changes.base import db
from changes.base.errors import ChangesError, Forbidden, NotFound, TooOften, Unavailable
from changes.base.process import settings
from changes.base.sign_in_settings import EVERY_DOMAIN, GOOGLE
from changes.people import limits, rules, secrets, users, visits
from changes.people.models import User
from changes.web import auth, entrance
from changes.web.pages import sign_in

if TYPE_CHECKING:
    from changes.people.oidc import Confirmed, Provider

pages = APIRouter()
BACK = "/auth/complete/"
STATE_COOKIE = "changes_visit"
STATUS = {Forbidden: 403, TooOften: 429, Unavailable: 503}
DENIED = "access_denied"


@pages.get("/auth/provider/")
def leave_for_provider(request: Request, next: str = "") -> Response:  # noqa: A002 - the parameter's name
    from changes.people import oidc

    wanted = entrance.landing(next)
    try:
        with db.transaction() as session:
            limits.count_try(session, limits.PROVIDER_FROM_ADDRESS, entrance.browser_of(request).address)
        visit = oidc.new_visit(secrets.make())
        address = oidc.address_of(provider_of_settings(), visit)
        with db.transaction() as session:
            visits.begin(session, visit.state, visits.Kept(visit.nonce, visit.verifier, wanted))
    except (Forbidden, TooOften, Unavailable) as error:
        return refused(request, error, wanted)
    answer = RedirectResponse(address, entrance.SEE_OTHER)
    kept_s = int(visits.VISIT_VALID.total_seconds())
    secure = auth.is_secure()
    answer.set_cookie(STATE_COOKIE, visit.state, kept_s, httponly=True, samesite="lax", secure=secure)
    return answer


@pages.get(BACK)
def come_back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    wanted = entrance.FIRST_PAGE
    try:
        with db.transaction() as session:
            kept = visits.end(session, own_state(request, state))
        wanted = entrance.landing(kept.landing)
        confirmed = ask_provider(kept, state, code, error)
        with db.transaction() as session:
            answer = entrance.let_in(request, session, admitted(session, confirmed), wanted)
    except (Forbidden, Unavailable) as refusal:
        return refused(request, refusal, wanted)
    answer.delete_cookie(STATE_COOKIE)
    return answer


def own_state(request: Request, state: str) -> str:
    """A link with somebody else's state would sign this browser in as somebody else."""
    if not state or not hmac.compare_digest(request.cookies.get(STATE_COOKIE, "").encode(), state.encode()):
        raise Forbidden(visits.OVER)
    return state


def ask_provider(kept: visits.Kept, state: str, code: str, error: str) -> "Confirmed":
    from changes.people import oidc

    provider = provider_of_settings()
    if error == DENIED:
        raise Forbidden(f"You did not allow {provider.name} to tell us who you are.")
    if error or not code:
        raise Forbidden(f"{provider.name} did not sign you in. {oidc.AGAIN}")
    return oidc.confirm(provider, oidc.Visit(state, kept.nonce, kept.verifier), code)


def admitted(session: db.Session, confirmed: "Confirmed") -> User:
    """Where domains are set, everybody of theirs is let in; where none are, only who is a user already."""
    current = settings.get()
    if not current.oidc_domains:
        return known(session, confirmed.email)
    is_google = current.oidc_issuer == GOOGLE
    if not rules.vouches_for(
        domains=current.oidc_domains,
        email=confirmed.email,
        hosted_domain=confirmed.hosted_domain,
        is_google=is_google,
    ):
        domains = " or ".join(current.oidc_domains)
        raise Forbidden(f"{confirmed.email} is not an account of {domains}. Choose another account.")
    return users.at_first_sight(session, confirmed.email)


def known(session: db.Session, email: str) -> User:
    try:
        user = users.by_email(session, email)
    except NotFound:
        raise Forbidden(f"Nobody has let {email} in yet. Ask an administrator to add you.") from None
    users.refuse_disabled(user)
    return user


def provider_of_settings() -> "Provider":
    from changes.people.oidc import Provider

    current = settings.get()
    if current.oidc_client_id is None:
        raise NotFound("Signing in at a provider is not set up here.")
    one_domain = current.oidc_domains if len(current.oidc_domains) == 1 else ()
    hosted = one_domain[0] if one_domain and one_domain != (EVERY_DOMAIN,) else ""
    return Provider(
        name=current.oidc_name,
        issuer=current.oidc_issuer,
        client_id=current.oidc_client_id,
        client_secret=current.oidc_client_secret,
        return_to=current.base_url + BACK,
        hosted_domain=hosted if current.oidc_issuer == GOOGLE else "",
    )


def refused(request: Request, error: ChangesError, wanted: str) -> Response:
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    answer = sign_in.door(request, wanted, error.message, status=status)
    answer.delete_cookie(STATE_COOKIE)
    return answer
