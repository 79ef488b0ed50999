"""Who may sign in, for administrators: found, added, given rights, disabled, removed."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import ChangesError, Conflict, Invalid
from changes.base.process import settings
from changes.people import accounts, queries, sessions, users
from changes.people.models import User
from changes.people.queries import Standing, UserFilter
from changes.people.rules import Scope
from changes.web import call, paging
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.account import CREATED, Button
from changes.web.params import Flag, Parameters, parameters

pages = APIRouter()
HERE = "/users/"
PER_PAGE = 50
RIGHTS = ["email", "admin", "patterns"]
STANDINGS = [("", "Any"), ("admin", "Administrators"), ("other", "Others"), ("disabled", "Disabled")]


class UsersAsked(Parameters):
    query: str = ""
    standing: Standing = Standing.ANY


class Rights(Parameters):
    """One pattern a line, or several between spaces."""

    admin: Flag = False
    patterns: str = ""


class NewUser(Rights):
    email: str = ""


@pages.get(HERE)
def list_users(request: Request, asked: Annotated[UsersAsked, parameters(UsersAsked)]) -> Response:
    page = paging.walked(request, size=PER_PAGE)
    with call.acting(request, Scope.ADMIN) as this:
        part = queries.users(this.session, page, UserFilter(asked.query, asked.standing))
        before, after = paging.newer_and_older(request, page, part)
        values = {
            "users": part.rows,
            "before": before,
            "after": after,
            "asked": asked,
            "is_filtered": asked != UsersAsked(),
            "standings": STANDINGS,
        }
        return drawing.page(request, "users.html", values)


@pages.get(f"{HERE}new/")
def ask_for_new_user(request: Request) -> Response:
    with call.acting(request, Scope.ADMIN):
        values = {"asked": NewUser(), "fields": RIGHTS, **forms.RIGHT}
        return drawing.page(request, "user_new.html", values)


@pages.post(HERE)
def create_user(request: Request, asked: Annotated[NewUser, parameters(NewUser)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            user = users.create(this.session, asked.email)
            accounts.set_rights(this.session, user, is_admin=asked.admin, patterns=asked.patterns.split())
            return shown_with_link(request, this, user)
    except (Invalid, Conflict) as error:
        with call.acting(request, Scope.ADMIN):
            return forms.again(request, "user_new.html", {"asked": asked, "fields": RIGHTS}, error)


def shown_with_link(request: Request, this: Call, user: User) -> Response:
    """Drawn at once and not by the next page: the link is kept nowhere."""
    link = f"{settings.get().base_url}/auth/link/{users.make_link(this.session, user)}/"
    return drawing.page(request, "user.html", {**about(this, user), **forms.RIGHT, "link": link}, CREATED)


def about(this: Call, user: User) -> dict[str, Any]:
    return {
        "user": user,
        "is_me": user.id == this.caller.user_id,
        "asked": Rights(admin=user.is_admin, patterns="\n".join(user.project_permissions)),
        "sessions": sessions.of_user(this.session, user),
        "tokens": queries.tokens_of(this.session, user),
        "link": "",
        "fields": RIGHTS,
    }


@pages.get(f"{HERE}{{user_id:uuid}}/")
def show_user(request: Request, user_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        user = queries.user(this.session, user_id)
        return drawing.page(request, "user.html", {**about(this, user), **forms.RIGHT})


def again(request: Request, user_id: UUID, error: ChangesError, asked: Rights | None = None) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        values = about(this, queries.user(this.session, user_id))
        return forms.again(request, "user.html", values | ({"asked": asked} if asked else {}), error)


@pages.post(f"{HERE}{{user_id:uuid}}/")
def set_rights(request: Request, user_id: UUID, asked: Annotated[Rights, parameters(Rights)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            user = queries.user(this.session, user_id)
            accounts.set_rights(this.session, user, is_admin=asked.admin, patterns=asked.patterns.split())
            gave_up = user.id == this.caller.user_id and not asked.admin
            where = "/account/" if gave_up else address_of(user)
            return drawing.go(where, "The rights are set; they hold from now on.")
    except (Invalid, Conflict) as error:
        return again(request, user_id, error, asked)


def address_of(user: User) -> str:
    return f"{HERE}{user.id.hex}/"


@pages.post(f"{HERE}{{user_id:uuid}}/link/")
def make_link(request: Request, user_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            user = queries.user(this.session, user_id)
            accounts.require_enabled(user)
            return shown_with_link(request, this, user)
    except Conflict as error:
        return again(request, user_id, error)


@pages.get(f"{HERE}{{user_id:uuid}}/disable/")
def ask_before_disabling(request: Request, user_id: UUID) -> Response:
    return ask_before(request, user_id, "user_disable.html")


@pages.get(f"{HERE}{{user_id:uuid}}/remove/")
def ask_before_removing(request: Request, user_id: UUID) -> Response:
    return ask_before(request, user_id, "user_remove.html")


def ask_before(request: Request, user_id: UUID, question: str) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        user = queries.user(this.session, user_id)
        tokens = queries.tokens_of(this.session, user)
        return drawing.page(request, question, {"user": user, "tokens": tokens, "back": address_of(user)})


@pages.post(f"{HERE}{{user_id:uuid}}/disable/")
def disable_user(request: Request, user_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            user = queries.user(this.session, user_id)
            accounts.disable(this.session, user)
            return drawing.go(address_of(user), f"{user.email} is signed out and cannot come back.")
    except Conflict as error:
        return again(request, user_id, error)


@pages.post(f"{HERE}{{user_id:uuid}}/enable/")
def enable_user(request: Request, user_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        user = queries.user(this.session, user_id)
        accounts.enable(this.session, user)
        return drawing.go(address_of(user), f"{user.email} may sign in again.")


@pages.post(f"{HERE}{{user_id:uuid}}/remove/")
def remove_user(request: Request, user_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            user = queries.user(this.session, user_id)
            accounts.remove(this.session, user)
            return drawing.go(HERE, f"{user.email} was removed.")
    except Conflict as error:
        return again(request, user_id, error)
