"""/auth/, /users/, /user_options/ and /tokens/: who may do what, and what they like."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from changes.base.errors import Invalid
from changes.people import accounts, queries, tokens, users
from changes.people.queries import Standing, UserFilter
from changes.people.rules import Scope
from changes.web import call, paging, shapes
from changes.web.params import (
    Flag,
    Parameters,
    TextList,
    as_list,
    documented,
    documented_query,
    parameters,
)

api = APIRouter(tags=["people"])
STANDINGS = {"1": Standing.ADMIN, "0": Standing.OTHER}


class UserList(Parameters):
    query: str = ""
    is_admin: Annotated[str, Field(pattern="^(0|1|)$")] = ""
    standing: Standing = Standing.ANY
    sort: Annotated[str, Field(pattern="^(email|date|)$")] = "email"


class NewUser(Parameters):
    email: Annotated[str, Field(min_length=1)]
    is_admin: Flag = False
    project_permissions: TextList = []


class UserChange(Parameters):
    """What is left out stays as it is."""

    is_admin: bool | None = None
    project_permissions: Annotated[list[str] | None, BeforeValidator(as_list)] = None


class UserOptions(Parameters):
    """`user.theme` is ours; the rest as the original had it."""

    colorblind: Annotated[bool | None, Field(alias="user.colorblind")] = None
    theme: Annotated[str | None, Field(alias="user.theme")] = None


class NewToken(Parameters):
    name: Annotated[str, Field(min_length=1, max_length=128)]
    scope: Annotated[str, Field(pattern="^(read|write|admin)$")] = "read"


@api.get("/auth/")
def who_am_i(request: Request) -> Response:
    """Who the request comes from; anonymous is an answer too."""
    with call.open_to_all(request) as this:
        user = queries.user(this.session, this.caller.user_id) if this.caller.user_id else None
        scope = this.caller.scope.name.lower() if this.caller.scope is not None else None
        data = {"authenticated": this.caller.scope is not None, "scope": scope, "name": this.caller.name}
        return this.answer(data | ({"user": shapes.user(user)} if user else {}))


@api.get("/users/", openapi_extra=documented_query(UserList, paged=True, by_id=True))
def list_users(request: Request, asked: Annotated[UserList, parameters(UserList)]) -> Response:
    page = paging.page_of(request, by_id=True)
    standing = STANDINGS.get(asked.is_admin, asked.standing)
    wanted = UserFilter(asked.query, standing, newest_first=asked.sort == "date")
    with call.begin(request, Scope.ADMIN) as this:
        shaped, headers = paging.shaped(request, page, queries.users(this.session, page, wanted), shapes.user)
        return this.answer(shaped, headers=headers)


@api.post("/users/", openapi_extra=documented(NewUser))
def create_user(request: Request, asked: Annotated[NewUser, parameters(NewUser)]) -> Response:
    """`changes user link`, or the page of the user, makes the link that signs in."""
    with call.begin(request, Scope.ADMIN) as this:
        user = users.create(this.session, asked.email)
        patterns = asked.project_permissions
        accounts.set_rights(this.session, user, is_admin=asked.is_admin, patterns=patterns)
        return this.answer(shapes.user(user), 201)


@api.get("/users/{user_id:uuid}/")
def show_user(request: Request, user_id: UUID) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        return this.answer(shapes.user(queries.user(this.session, user_id)))


@api.post("/users/{user_id:uuid}/", openapi_extra=documented(UserChange))
def change_user(
    request: Request, user_id: UUID, asked: Annotated[UserChange, parameters(UserChange)]
) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        user = queries.user(this.session, user_id)
        patterns = asked.project_permissions
        accounts.set_rights(
            this.session,
            user,
            is_admin=user.is_admin if asked.is_admin is None else asked.is_admin,
            patterns=user.project_permissions if patterns is None else patterns,
        )
        return this.answer(shapes.user(user))


@api.post("/user_options/", openapi_extra=documented(UserOptions))
def set_options(request: Request, asked: Annotated[UserOptions, parameters(UserOptions)]) -> Response:
    """Of whoever asks: one's own taste needs no more than to be somebody."""
    with call.begin(request, Scope.READ) as this:
        if this.caller.user_id is None:
            raise Invalid("This token belongs to nobody, so there is no user whose options these are.")
        user = queries.user(this.session, this.caller.user_id)
        is_colorblind = user.is_colorblind if asked.colorblind is None else asked.colorblind
        theme = user.theme if asked.theme is None else asked.theme
        accounts.set_taste(user, theme=theme, is_colorblind=is_colorblind)
        return this.answer({})


@api.get("/tokens/", openapi_extra=documented_query(paged=True, by_id=True))
def list_tokens(request: Request) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.ADMIN) as this:
        shaped, headers = paging.shaped(request, page, queries.tokens(this.session, page), shapes.token)
        return this.answer(shaped, headers=headers)


@api.post("/tokens/", openapi_extra=documented(NewToken))
def create_token(request: Request, asked: Annotated[NewToken, parameters(NewToken)]) -> Response:
    """The secret is shown in this answer only."""
    with call.begin(request, Scope.ADMIN) as this:
        made = tokens.create(this.session, asked.name, Scope[asked.scope.upper()])
        data = {"id": made.id.hex, "token": made.secret, "name": asked.name, "scope": asked.scope}
        return this.answer_secret(data, "token")


@api.delete("/tokens/{token_id:uuid}/")
def revoke_token(request: Request, token_id: UUID) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        tokens.revoke(this.session, token_id)
        return this.answer({})
