"""Signing in by a one-time link. Opening the link changes nothing; the button on its page does,
because chat programs and mail scanners open links too.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from changes.base import db
from changes.base.errors import Forbidden
from changes.base.process import settings
from changes.people import users
from changes.web import auth
from changes.web.auth import COOKIE
from changes.web.pages import drawing

pages = APIRouter()


@pages.get("/auth/login/")
def how_to_sign_in(request: Request) -> Response:
    return drawing.page(request, "sign_in.html", {"secret": None, "problem": None})


@pages.get("/auth/link/{secret}/")
def show_link(request: Request, secret: str) -> Response:
    return drawing.page(request, "sign_in.html", {"secret": secret, "problem": None})


@pages.post("/auth/link/{secret}/")
def use_link(request: Request, secret: str) -> Response:
    auth.refuse_foreign_page(request)
    try:
        with db.transaction() as session:
            cookie = users.use_link(session, secret)
    except Forbidden as error:
        return drawing.page(request, "sign_in.html", {"secret": None, "problem": error.message}, 403)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(users.SESSION_VALID.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.get().base_url.startswith("https:"),
    )
    return answer


@pages.post("/auth/logout/")
def sign_out(request: Request) -> Response:
    """Ends this session, here and in the database."""
    auth.refuse_foreign_page(request)
    secret = request.cookies.get(COOKIE)
    if secret:
        with db.transaction() as session:
            users.close_session(session, secret)
    answer = RedirectResponse("/auth/login/", 303)
    answer.delete_cookie(COOKIE)
    return answer
