"""Who is asking, and whether they may.

A program brings `Authorization: Bearer <token>`; a browser brings the session cookie, or a proxy
that the settings trust says in a header whose browser it is.
"""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request

from changes.base.db import Session
from changes.base.errors import Forbidden, Invalid, NotSignedIn
from changes.base.process import settings
from changes.base.settings import secret_key
from changes.base.sign_in_settings import is_within
from changes.people import rules, tokens, users
from changes.people.models import User
from changes.people.rules import Scope
from changes.web import proxies

COOKIE = "changes_session"
# Browsers let nobody but this very site set a cookie of this kind, and only over https.
SECURE_PREFIX = "__Host-"
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
    # Of the person, also when one of their tokens asks.
    email: str = ""
    # Patterns of the slugs of projects that this caller may administer.
    patterns: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Tells askers apart, for what is remembered per asker."""
        asker = self.token_id or self.user_id
        return asker.hex if asker else self.name

    @property
    def asker(self) -> str:
        """In whose name something is asked for, as it is kept beside it."""
        return self.email or self.name

    def may_administer(self, slug: str) -> bool:
        """With the scope admin every project; with write those that the patterns name."""
        if self.scope is None or not rules.allows(self.scope, Scope.WRITE):
            return False
        is_admin = rules.allows(self.scope, Scope.ADMIN)
        return rules.may_administer_project(is_admin=is_admin, patterns=self.patterns, slug=slug)


ANONYMOUS = Caller(None)


def is_secure() -> bool:
    return settings.get().base_url.startswith("https:")


def cookie_name() -> str:
    return f"{SECURE_PREFIX if is_secure() else ''}{COOKIE}"


def session_cookie(request: Request) -> str | None:
    return request.cookies.get(cookie_name())


def bearer(request: Request) -> str | None:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" and secret.strip() else None


def proof_for(secret: str) -> str:
    """What our own pages put into their forms; whoever does not know the secret cannot know it."""
    return hmac.digest(secret.encode(), b"a form of ours", hashlib.sha256).hex()


def proof_of(request: Request) -> str:
    """Made of what the browser brings, so that it holds for this sign-in only."""
    email = vouched_for(request)
    if email is not None:
        return proof_for(f"{secret_key(settings.get())} {email}")
    return proof_for(session_cookie(request) or "")


def refuse_strangers(request: Request) -> None:
    """For requests that change something, before their body is read; whether key or cookie are
    right is seen later.
    """
    if bearer(request) is not None:
        return
    if session_cookie(request) is None and vouched_for(request) is None:
        raise NotSignedIn(PLEASE)
    refuse_foreign_page(request)


def refuse_without_proof(request: Request) -> None:
    """A browser sends what it has whoever made it ask; the proof says that it was a page of ours."""
    refuse_foreign_page(request)
    given = getattr(request.state, "proof", None) or request.headers.get(PROOF_HEADER, "")
    if not hmac.compare_digest(str(given).encode(), proof_of(request).encode()):
        raise Forbidden("This form is of an earlier sign-in. Go back, reload the page and send it again.")


def refuse_foreign_page(request: Request) -> None:
    """A form on somebody else's page must not act in the name of whoever looks at it."""
    origin = request.headers.get("Origin")
    ours = {request.url.netloc, urlsplit(settings.get().base_url).netloc}
    if origin is not None and urlsplit(origin).netloc not in ours:
        raise Forbidden("This form was sent from the page of another site.")


def vouched_for(request: Request) -> str | None:
    """The address that a proxy gives us; whoever else sends that header is not listened to."""
    told = told_by_proxy(request)
    return told[0].strip() or None if len(told) == 1 else None


def told_by_proxy(request: Request) -> list[str]:
    name = settings.get().trusted_proxy_header
    if name is None or not is_within(settings.get().trusted_proxies, proxies.peer(request)):
        return []
    return request.headers.getlist(name)


def refuse_two_names(request: Request) -> None:
    """A proxy that adds its header to a visitor's own would let visitors choose who they are."""
    if len(told_by_proxy(request)) > 1:
        name = settings.get().trusted_proxy_header
        raise Invalid(f"The proxy sent {name} more than once; it must replace what a visitor sends.")


def identify(session: Session, request: Request) -> Caller:
    secret = bearer(request)
    if secret is not None:
        return by_token(session, secret)
    user = in_browser(session, request)
    if user is None:
        return ANONYMOUS
    if request.method not in READING:
        refuse_without_proof(request)
    return by_user(user)


def in_browser(session: Session, request: Request) -> User | None:
    refuse_two_names(request)
    email = vouched_for(request)
    if email is not None:
        return users.at_first_sight(session, email)
    cookie = session_cookie(request)
    return users.signed_in(session, cookie) if cookie else None


def by_token(session: Session, secret: str) -> Caller:
    token = tokens.known(session, secret)
    if token is None:
        raise NotSignedIn("This token is unknown or was revoked.")
    owner = token.owner
    if owner is None:
        return Caller(token.scope, token_id=token.id, name=f"token {token.name}")
    scope = rules.scope_of_token(token.scope, rules.scope_of_user(is_admin=owner.is_admin))
    name = f"token {token.name}"
    return Caller(scope, owner.id, token.id, name, owner.email, owner.project_permissions)


def by_user(user: User) -> Caller:
    scope = rules.scope_of_user(is_admin=user.is_admin)
    patterns = tuple(user.project_permissions)
    return Caller(scope, user.id, name=user.email, email=user.email, patterns=patterns)


def require(caller: Caller, needed: Scope) -> None:
    if caller.scope is None:
        if needed == Scope.READ and settings.get().anonymous_read:
            return
        raise NotSignedIn(PLEASE)
    if not rules.allows(caller.scope, needed):
        raise Forbidden(
            f"This needs the scope {needed.name.lower()}; {caller.name} has {caller.scope.name.lower()}."
        )


def require_project(caller: Caller, slug: str) -> None:
    if not caller.may_administer(slug):
        raise Forbidden(
            f"This needs the right to administer the project {slug}; {caller.name} has not got it."
        )
