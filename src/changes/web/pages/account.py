"""Oneself: taste, password, the browsers one is signed in with, and one's own tokens."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import db
from changes.base.errors import ChangesError, Forbidden, Invalid, TooOften
from changes.people import accounts, limits, passwords, queries, sessions, tokens
from changes.people.models import User, WebSession
from changes.people.rules import Scope
from changes.web import auth, call, entrance
from changes.web.call import Call
from changes.web.pages import browsers, drawing, forms
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/account/"
FIELDS = ["current", "password", "again", "name", "scope", "theme"]
SCOPES = {
    Scope.READ: ("read", "Read", "Looks at everything but users and tokens."),
    Scope.WRITE: ("write", "Write", "Also asks for builds and cancels them."),
    Scope.ADMIN: ("admin", "Administer", "Everything."),
}
SAFE_PALETTE = "safe"
CREATED, TOO_MANY = 201, 429


class Button(Parameters):
    """A form without fields."""


class Taste(Parameters):
    """What is left out stays as it is."""

    theme: str | None = None
    palette: str | None = None
    next: str = HERE


class PasswordChange(Parameters):
    current: str = ""
    password: str = ""
    again: str = ""


class TokenAsked(Parameters):
    name: str = ""
    scope: str = "read"


@pages.get(HERE)
def show_account(request: Request) -> Response:
    with call.reading(request) as this:
        return drawing.page(request, "account.html", {**about_me(request, this), **forms.RIGHT})


def about_me(request: Request, this: Call) -> dict[str, Any]:
    user = myself(this)
    return {
        "user": user,
        "sessions": signed_in_with(request, this, user),
        "tokens": queries.tokens_of(this.session, user),
        "scopes": scopes_up_to(this.caller.scope),
        "asked": TokenAsked(),
        "made": None,
        "fields": FIELDS,
    }


def signed_in_with(request: Request, this: Call, user: User) -> list[tuple[WebSession, str, bool]]:
    """Each with the name of its browser, and whether it is this one, which comes first."""
    cookie = auth.session_cookie(request) or ""
    listed = [
        (each, browsers.browser_name(each.user_agent), sessions.is_of(each, cookie))
        for each in sessions.of_user(this.session, user)
    ]
    return sorted(listed, key=lambda row: not row[2])


def myself(this: Call) -> User:
    """A token may belong to nobody; a page about oneself needs somebody."""
    if this.caller.user_id is None:
        raise Forbidden("Only people have an account; sign in as one.")
    return queries.user(this.session, this.caller.user_id)


def scopes_up_to(held: Scope | None) -> list[tuple[str, str, str]]:
    return [words for scope, words in SCOPES.items() if held is not None and scope <= held]


def again(request: Request, error: ChangesError, **typed: Any) -> Response:
    with call.acting(request, Scope.READ) as this:
        return forms.again(request, "account.html", {**about_me(request, this), **typed}, error)


@pages.post(f"{HERE}appearance/")
def set_taste(request: Request, asked: Annotated[Taste, parameters(Taste)]) -> Response:
    with call.acting(request, Scope.READ) as this:
        user = myself(this)
        theme = user.theme if asked.theme is None else asked.theme
        is_safe = user.is_colorblind if asked.palette is None else asked.palette == SAFE_PALETTE
        accounts.set_taste(user, theme=theme, is_colorblind=is_safe)
        answer = drawing.go(entrance.landing(asked.next))
        entrance.set_taste(answer, user)
        return answer


@pages.post(f"{HERE}password/")
def set_password(request: Request, asked: Annotated[PasswordChange, parameters(PasswordChange)]) -> Response:
    try:
        count_try(request)
        with call.acting(request, Scope.READ) as this:
            user = myself(this)
            change_password(user, asked)
            sessions.end_others(this.session, user, auth.session_cookie(request) or "")
            limits.forget(this.session, limits.PASSWORD_OF_ACCOUNT, user.email)
            return drawing.go(HERE, "Your password is set. All other browsers were signed out.")
    except Invalid as error:
        return again(request, error)
    except TooOften as error:
        answer = again(request, error)
        answer.status_code = TOO_MANY
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer


def count_try(request: Request) -> None:
    """In a transaction of its own, so that it counts whatever comes of it."""
    with call.acting(request, Scope.READ) as this:
        email = myself(this).email
    with db.transaction() as session:
        limits.count_try(session, limits.PASSWORD_OF_ACCOUNT, email)


def change_password(user: User, asked: PasswordChange) -> None:
    passwords.require_own(user, asked.current)
    if asked.password != asked.again:
        raise Invalid("This is not the same as above.", ["again"])
    passwords.set_password(user, asked.password)


@pages.post(f"{HERE}sessions/others/end/")
def end_other_sessions(request: Request, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.READ) as this:
        count = sessions.end_others(this.session, myself(this), auth.session_cookie(request) or "")
        return drawing.go(HERE, f"Signed out: {count}." if count else "There was no other.")


@pages.post(f"{HERE}sessions/{{session_id:uuid}}/end/")
def end_session(request: Request, session_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.READ) as this:
        sessions.end(this.session, myself(this), session_id)
        return drawing.go(HERE, "That browser was signed out.")


@pages.post(f"{HERE}tokens/")
def create_token(request: Request, asked: Annotated[TokenAsked, parameters(TokenAsked)]) -> Response:
    """Drawn at once and not by the next page: the secret is kept nowhere."""
    try:
        with call.acting(request, Scope.READ) as this:
            scope = chosen_scope(asked.scope, this.caller.scope)
            made = tokens.create(this.session, asked.name, scope, user=myself(this))
            values = {**about_me(request, this), **forms.RIGHT, "made": made}
            return drawing.page(request, "account.html", values, CREATED)
    except Invalid as error:
        return again(request, error, asked=asked)


def chosen_scope(name: str, held: Scope | None) -> Scope:
    """Nobody gives away more than they have."""
    allowed = {words[0]: scope for scope, words in SCOPES.items() if held is not None and scope <= held}
    if name not in allowed:
        raise Invalid("Choose one of these.", ["scope"])
    return allowed[name]


@pages.get(f"{HERE}tokens/{{token_id:uuid}}/revoke/")
def ask_before_revoking(request: Request, token_id: UUID) -> Response:
    with call.reading(request) as this:
        token = tokens.find(this.session, token_id, owner_id=myself(this).id)
        return drawing.page(request, "token_revoke.html", {"token": token, "back": HERE})


@pages.post(f"{HERE}tokens/{{token_id:uuid}}/revoke/")
def revoke_token(request: Request, token_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.READ) as this:
        token = tokens.find(this.session, token_id, owner_id=myself(this).id)
        tokens.revoke(this.session, token.id)
        return drawing.go(HERE, f"The token {token.name} opens nothing any more.")
