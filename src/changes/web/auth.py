"""Who is asking, and whether they may.

A program brings `Authorization: Bearer <token>`; a browser brings the session cookie.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request

from changes.base.db import Session
from changes.base.errors import Forbidden, NotSignedIn
from changes.base.process import settings
from changes.people import rules, tokens, users
from changes.people.models import User
from changes.people.rules import Scope

COOKIE = "changes_session"
PLEASE = "Please sign in, or send a token: Authorization: Bearer ..."


@dataclass(frozen=True)
class Caller:
    """`scope` is what this request may do; None is somebody unknown."""

    scope: Scope | None
    user_id: UUID | None = None
    token_id: UUID | None = None
    name: str = "anonymous"

    @property
    def key(self) -> str:
        """Tells askers apart, for what is remembered per asker."""
        asker = self.token_id or self.user_id
        return asker.hex if asker else self.name


ANONYMOUS = Caller(None)


def bearer(request: Request) -> str | None:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" and secret.strip() else None


def refuse_without_token(request: Request) -> None:
    """For requests that change something; costs nothing, and says nothing about the token."""
    if bearer(request) is None:
        raise NotSignedIn(PLEASE)


def refuse_foreign_page(request: Request) -> None:
    """A form on somebody else's page must not act in the name of whoever looks at it."""
    origin = request.headers.get("Origin")
    ours = {request.url.netloc, urlsplit(settings.get().base_url).netloc}
    if origin is not None and urlsplit(origin).netloc not in ours:
        raise Forbidden("This form was sent from the page of another site.")


def identify(session: Session, request: Request) -> Caller:
    secret = bearer(request)
    if secret is not None:
        return by_token(session, secret)
    cookie = request.cookies.get(COOKIE)
    user = users.signed_in(session, cookie) if cookie else None
    # A cookie is sent by the browser whoever made it ask, so it may only read until the
    # pages bring their proof against forged requests.
    return by_user(user) if user is not None and request.method in ("GET", "HEAD") else ANONYMOUS


def by_token(session: Session, secret: str) -> Caller:
    token = tokens.recognise(session, secret)
    if token is None:
        raise NotSignedIn("This token is unknown or was revoked.")
    return Caller(token.scope, user_id=token.user_id, token_id=token.id, name=f"token {token.name}")


def by_user(user: User) -> Caller:
    return Caller(Scope.ADMIN if user.is_admin else Scope.WRITE, user_id=user.id, name=user.email)


def require(caller: Caller, needed: Scope) -> None:
    if caller.scope is None:
        if needed == Scope.READ and settings.get().anonymous_read:
            return
        raise NotSignedIn(PLEASE)
    if not rules.allows(caller.scope, needed):
        raise Forbidden(
            f"This needs the scope {needed.name.lower()}; {caller.name} has {caller.scope.name.lower()}."
        )
