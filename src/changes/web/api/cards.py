"""Cards that steps post: what readers should see first of a build."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from changes.base import db, idempotency
from changes.builds import queries, step_tokens
from changes.people.rules import Scope
from changes.protocol import CardToSay
from changes.results import cards
from changes.results.card_models import Card
from changes.results.cards import CardSaid
from changes.web import answers, auth, call, paging, shapes
from changes.web.api.agents import read
from changes.web.params import Flag, Parameters, documented, documented_query, parameters
from changes.web.step_callers import holding

api = APIRouter(tags=["cards"])
SAID_MAX_BYTES = 1024 * 1024


class NewCard(Parameters):
    """The same key again replaces the card, or adds to it; without a text it is taken back."""

    key: Annotated[str, Field(description="what it is known by within the build")] = "default"
    text: Annotated[str, Field(description="Markdown, without HTML")] = ""
    style: Annotated[str, Field(description=", ".join(cards.STYLES))] = "info"
    title: str = ""
    append: Flag = False

    def said(self) -> CardSaid:
        return CardSaid(self.key, self.text, self.style, self.title, self.append)


def shape(card: Card) -> dict[str, Any]:
    return {
        "id": card.id.hex,
        "key": card.key,
        "style": card.style,
        "title": card.title,
        "text": card.text,
        "version": card.version,
        "build": {"id": card.build_id.hex},
        "step": {"id": card.step_id.hex},
        "dateCreated": shapes.when(card.date_created),
        "dateModified": shapes.when(card.date_modified),
    }


@api.get("/builds/{build_id:uuid}/cards/", openapi_extra=documented_query(paged=True))
def list_of_build(request: Request, build_id: UUID) -> Response:
    """Errors first, then warnings, and otherwise in the order they were first posted."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = cards.listed(this.session, queries.build(this.session, build_id).id, page)
        shown, headers = paging.shaped(request, page, part, shape)
        return this.answer(shown, headers=headers)


@api.get("/jobsteps/{step_id:uuid}/cards/")
def list_of_step(request: Request, step_id: UUID) -> Response:
    """Those that this step posted last."""
    with call.begin(request, Scope.READ) as this:
        found = cards.of_step(this.session, queries.step(this.session, step_id).id)
        return this.answer([shape(each) for each in found])


@api.post("/jobsteps/{step_id:uuid}/cards/", openapi_extra=documented(NewCard))
async def post_card(
    request: Request, step_id: UUID, asked: Annotated[NewCard, parameters(NewCard)]
) -> Response:
    """By the step's own token while it runs, or by a key with the scope write. 204: it was taken back."""
    secret = auth.bearer(request)
    if secret is None or not step_tokens.is_one(secret):
        return await run_in_threadpool(posted_by_key, request, step_id, asked)
    async with holding(request, step_id) as (_, node_id):
        pass
    key = request.headers.get(call.HEADER)
    once = None if key is None else idempotency.Request(f"step {step_id.hex}", key, call.digest_of(request))
    return await run_in_threadpool(posted_by_step, node_id, step_id, asked.said(), once)


def posted_by_key(request: Request, step_id: UUID, asked: NewCard) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        card = cards.post(this.session, queries.step(this.session, step_id), asked.said())
        return this.answer_nothing() if card is None else this.answer(shape(card), 201)


def posted_by_step(
    node_id: UUID, step_id: UUID, said: CardSaid, once: idempotency.Request | None
) -> Response:
    """What was said twice, because the answer got lost, is added once."""
    with db.transaction() as session:
        if once is not None and idempotency.begin(session, once) is not None:
            return Response(status_code=204)
        card = cards.post_for_agent(session, node_id, step_id, said)
        return Response(status_code=204) if card is None else answers.json(shape(card), 201)


@api.post("/agents/steps/{step_id:uuid}/cards/")
async def post_by_agent(request: Request, step_id: UUID) -> Response:
    """As a command of the step left it; told again with the same number it is the same."""
    async with holding(request, step_id) as (_, node_id):
        pass
    told = await read(request, CardToSay, SAID_MAX_BYTES)
    said = CardSaid(told.key, told.text, told.style, told.title, told.append)
    once = (
        idempotency.Request(f"step {step_id.hex}", f"card {told.number}", told.key) if told.number else None
    )
    await run_in_threadpool(posted_by_step, node_id, step_id, said, once)
    return answers.json({})
