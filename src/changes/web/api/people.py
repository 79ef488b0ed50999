"""/auth/, /users/ and /tokens/: who may do what."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.people import queries, tokens
from changes.people.rules import Scope
from changes.web import call, paging, shapes
from changes.web.params import Parameters, documented, documented_query, parameters

api = APIRouter(tags=["people"])


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


@api.get("/users/", openapi_extra=documented_query(paged=True))
def list_users(request: Request) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.ADMIN) as this:
        shaped, headers = paging.shaped(request, page, queries.users(this.session, page), shapes.user)
        return this.answer(shaped, headers=headers)


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
