"""The door: one page with every way in that is configured.

Opening a one-time link changes nothing; the button on its page does, because chat programs and
mail scanners open links too.
"""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base import db
from changes.base.errors import Forbidden, TooOften
from changes.base.process import settings
from changes.people import limits, passwords
from changes.web import call, entrance
from changes.web.pages import drawing
from changes.web.params import Parameters, form_of_strangers, parameters

pages = APIRouter()
FORBIDDEN, TOO_MANY = 403, 429


class Wanted(Parameters):
    next: str = ""


class PasswordGiven(Wanted):
    email: str = ""
    password: str = ""


class Nothing(Parameters):
    """A form with a button only."""


@pages.get("/auth/login/")
def how_to_sign_in(request: Request, next: str = "") -> Response:  # noqa: A002 - the parameter's name
    wanted = entrance.landing(next)
    with call.open_to_all(request) as this:
        if this.caller.user_id is not None:
            return drawing.go(wanted)
    answer = door(request, wanted)
    entrance.remember_landing(answer, wanted)
    return answer


def door(request: Request, wanted: str, problem: str = "", *, status: int = 200, email: str = "") -> Response:
    """Also what is shown again when something was wrong, with the reason."""
    values = {"next": wanted, "problem": problem, "email": email, **ways_in()}
    return drawing.page(request, "sign_in.html", values, status)


def ways_in() -> dict[str, object]:
    current = settings.get()
    return {"provider": current.oidc_name if current.oidc_client_id else ""}


@pages.post("/auth/password/")
def use_password(
    request: Request, asked: Annotated[PasswordGiven, form_of_strangers(PasswordGiven)]
) -> Response:
    wanted = entrance.landing(asked.next)
    try:
        with db.transaction() as session:
            count_tries(session, request, asked.email)
        with db.transaction() as session:
            user = passwords.check(session, asked.email, asked.password)
            limits.forget(session, limits.PASSWORD_OF_ACCOUNT, account_key(asked.email))
            return entrance.let_in(request, session, user, wanted)
    except Forbidden as error:
        return door(request, wanted, error.message, status=FORBIDDEN, email=asked.email)
    except TooOften as error:
        answer = door(request, wanted, error.message, status=TOO_MANY, email=asked.email)
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer


def count_tries(session: db.Session, request: Request, email: str) -> None:
    """Of an address of the network and of an account, whether there is such a one or not."""
    limits.count_try(session, limits.PASSWORD_FROM_ADDRESS, entrance.browser_of(request).address)
    limits.count_try(session, limits.PASSWORD_OF_ACCOUNT, account_key(email))


def account_key(email: str) -> str:
    return email.strip().lower()[: passwords.LENGTH_MAX]


@pages.get("/auth/link/{secret}/")
def show_link(request: Request, secret: str, next: str = "") -> Response:  # noqa: A002 - as above
    wanted = entrance.landing(next) if next else entrance.remembered_landing(request.cookies)
    return drawing.page(request, "sign_in_link.html", {"secret": secret, "next": wanted})


@pages.post("/auth/link/{secret}/")
def use_link(request: Request, secret: str, asked: Annotated[Wanted, form_of_strangers(Wanted)]) -> Response:
    try:
        with db.transaction() as session:
            return entrance.let_in_by_link(request, session, secret, asked.next)
    except Forbidden as error:
        return door(request, entrance.landing(asked.next), error.message, status=FORBIDDEN)


@pages.post("/auth/logout/")
def sign_out(request: Request, asked: Annotated[Nothing, parameters(Nothing)]) -> Response:
    with call.open_to_all(request) as this:
        return entrance.leave(request, this.session)
