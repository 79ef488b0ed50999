"""From the door to the page somebody wanted: where it may lead, and what the browser is given."""

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from changes.base.db import Session
from changes.people import queries, users
from changes.people.models import User
from changes.people.users import Browser
from changes.web import auth, proxies

FIRST_PAGE = "/"
LANDING_MAX = 2000
# Browsers keep a cookie for 400 days at most; when a session is over is decided here, not there.
COOKIE_KEPT_S = 400 * 24 * 3600
TASTE_KEPT_S = 365 * 24 * 3600
# A one-time link is opened apart from the page that asked for it; this remembers where to go.
LANDING_COOKIE = "changes_landing"
LANDING_KEPT_S = 3600
SEE_OTHER = 303


def landing(wanted: str | None) -> str:
    """A path of ours, whatever the address of the sign-in page said; otherwise the first page."""
    return wanted if wanted and is_path_of_ours(wanted) else FIRST_PAGE


def is_path_of_ours(wanted: str) -> bool:
    """Browsers read a backslash as `/`, skip control characters, and take `//name` for another machine."""
    if len(wanted) > LANDING_MAX or not wanted.startswith("/") or wanted.startswith("//"):
        return False
    if "\\" in wanted or any(not c.isprintable() or c.isspace() for c in wanted):
        return False
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return False
    # Nobody wants to land at the door again, or on what signs them out.
    return not parts.scheme and not parts.netloc and not parts.path.startswith("/auth/")


def browser_of(request: Request) -> Browser:
    agent = "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())
    return Browser(user_agent=agent, address=proxies.address(request))


def let_in(request: Request, session: Session, user: User, wanted: str) -> Response:
    """Opens a session of its own; the one this browser had before, if any, is over."""
    return with_session(
        request, session, users.open_session(session, user.id, browser_of(request)), wanted, user
    )


def let_in_by_link(request: Request, session: Session, secret: str, wanted: str) -> Response:
    cookie = users.use_link(session, secret, browser_of(request))
    user = users.signed_in(session, cookie)
    return with_session(request, session, cookie, wanted, user)


def with_session(request: Request, session: Session, cookie: str, wanted: str, user: User | None) -> Response:
    earlier = auth.session_cookie(request)
    if earlier:
        users.close_session(session, earlier)
    answer = RedirectResponse(landing(wanted), SEE_OTHER)
    answer.set_cookie(
        auth.cookie_name(),
        cookie,
        max_age=COOKIE_KEPT_S,
        httponly=True,
        samesite="lax",
        secure=auth.is_secure(),
    )
    answer.delete_cookie(LANDING_COOKIE)
    answer.headers["Cache-Control"] = "no-store"
    if user is not None:
        give_taste(answer, user)
    return answer


def give_taste(answer: Response, user: User) -> None:
    """At sign-in: who never chose anything keeps what this browser shows."""
    if user.theme or user.is_colorblind:
        set_taste(answer, user)


def set_taste(answer: Response, user: User) -> None:
    """The script of our pages reads these two, so they are not hidden from it."""
    taste = {"changes_theme": user.theme, "changes_palette": "safe" if user.is_colorblind else ""}
    for name, word in taste.items():
        kept_s = TASTE_KEPT_S if word else 0
        answer.set_cookie(name, word, max_age=kept_s, samesite="lax", secure=auth.is_secure())


def remember_landing(answer: Response, wanted: str) -> None:
    if wanted != FIRST_PAGE:
        answer.set_cookie(
            LANDING_COOKIE,
            quote(wanted),
            max_age=LANDING_KEPT_S,
            httponly=True,
            samesite="lax",
            secure=auth.is_secure(),
        )


def remembered_landing(cookies: Mapping[str, str]) -> str:
    return landing(unquote(cookies.get(LANDING_COOKIE, "")))


def leave(request: Request, session: Session) -> Response:
    """Ends this session, here and in the database."""
    secret = auth.session_cookie(request)
    if secret:
        users.close_session(session, secret)
    answer = RedirectResponse("/auth/login/", SEE_OTHER)
    answer.delete_cookie(auth.cookie_name(), secure=auth.is_secure(), httponly=True, samesite="lax")
    return answer


def myself(session: Session, caller: auth.Caller) -> User | None:
    """None for a token that belongs to nobody."""
    return queries.user(session, caller.user_id) if caller.user_id is not None else None
