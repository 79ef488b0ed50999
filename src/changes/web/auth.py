"""Who is asking, and whether they may.

A program brings `Authorization: Bearer <token>`; a browser brings the session cookie.
"""

import hashlib
import hmac
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
# Where a form, or a script, brings its proof.
PROOF_FIELD = "proof"
PROOF_HEADER = "Changes-Proof"
READING = ("GET", "HEAD")
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


def proof_for(cookie: str) -> str:
    """What our own pages put into their forms; whoever cannot read the cookie cannot know it."""
    return hmac.digest(cookie.encode(), b"a form of ours", hashlib.sha256).hex()


def refuse_strangers(request: Request) -> None:
    """For requests that change something, before their body is read; whether key or cookie are
    right is seen later.
    """
    if bearer(request) is not None:
        return
    if request.cookies.get(COOKIE) is None:
        raise NotSignedIn(PLEASE)
    refuse_foreign_page(request)


def refuse_without_proof(request: Request, cookie: str) -> None:
    """A cookie is sent by the browser whoever made it ask; the proof says that it was a page of ours."""
    refuse_foreign_page(request)
    given = getattr(request.state, "proof", None) or request.headers.get(PROOF_HEADER, "")
    if not hmac.compare_digest(str(given).encode(), proof_for(cookie).encode()):
        raise Forbidden("This form is of an earlier sign-in. Go back, reload the page and send it again.")


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
    if user is None or cookie is None:
        return ANONYMOUS
    if request.method not in READING:
        refuse_without_proof(request, cookie)
    return by_user(user)


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
