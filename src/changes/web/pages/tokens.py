"""All tokens, for administrators: whose, what for, when used; those of nobody are made here."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid
from changes.people import queries, tokens
from changes.people.queries import TokenFilter
from changes.people.rules import Scope
from changes.web import call, paging
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.account import CREATED, Button, TokenAsked, chosen_scope, scopes_up_to
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/tokens/"
PER_PAGE = 50
STATES = {"live": True, "revoked": False}


class TokensAsked(Parameters):
    query: str = ""
    state: Annotated[str, Field(pattern="^(live|revoked|)$")] = "live"


@pages.get(HERE)
def list_tokens(request: Request, asked: Annotated[TokensAsked, parameters(TokensAsked)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        return drawing.page(request, "tokens.html", {**all_tokens(request, this, asked), **forms.RIGHT})


def all_tokens(request: Request, this: Call, asked: TokensAsked) -> dict[str, Any]:
    page = paging.walked(request, size=PER_PAGE)
    wanted = TokenFilter(text=asked.query.strip(), is_live=STATES.get(asked.state))
    part = queries.tokens(this.session, page, wanted)
    newer, older = paging.newer_and_older(request, page, part)
    return {
        "tokens": part.rows,
        "newer": newer,
        "older": older,
        "asked": asked,
        "is_filtered": asked != TokensAsked(),
        "typed": TokenAsked(),
        "scopes": scopes_up_to(this.caller.scope),
        "made": None,
        "fields": ["name", "scope"],
    }


@pages.post(HERE)
def create_token(request: Request, asked: Annotated[TokenAsked, parameters(TokenAsked)]) -> Response:
    """One for a program; it belongs to nobody, so it stays when somebody leaves."""
    try:
        with call.acting(request, Scope.ADMIN) as this:
            made = tokens.create(this.session, asked.name, chosen_scope(asked.scope, this.caller.scope))
            values = {**all_tokens(request, this, TokensAsked()), **forms.RIGHT, "made": made}
            return drawing.page(request, "tokens.html", values, CREATED)
    except Invalid as error:
        with call.acting(request, Scope.ADMIN) as this:
            values = {**all_tokens(request, this, TokensAsked()), "typed": asked}
            return forms.again(request, "tokens.html", values, error)


@pages.get(f"{HERE}{{token_id:uuid}}/revoke/")
def ask_before_revoking(request: Request, token_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        token = tokens.find(this.session, token_id)
        return drawing.page(request, "token_revoke.html", {"token": token, "back": HERE})


@pages.post(f"{HERE}{{token_id:uuid}}/revoke/")
def revoke_token(request: Request, token_id: UUID, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        token = tokens.find(this.session, token_id)
        tokens.revoke(this.session, token.id)
        return drawing.go(HERE, f"The token {token.name} opens nothing any more.")
