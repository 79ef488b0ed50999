"""/messages/: a word of the administrators above every page."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.people import messages
from changes.people.rules import Scope
from changes.web import call, shapes
from changes.web.params import Parameters, documented, parameters

api = APIRouter(tags=["people"])


class NewMessage(Parameters):
    message: Annotated[str, Field(description="an empty text takes it away")]


@api.get("/messages/")
def show_message(request: Request) -> Response:
    """Null while nothing is said."""
    with call.begin(request, Scope.READ) as this:
        said = messages.current(this.session)
        return this.answer(shapes.admin_message(said) if said else None)


@api.post("/messages/", openapi_extra=documented(NewMessage))
def say(request: Request, asked: Annotated[NewMessage, parameters(NewMessage)]) -> Response:
    with call.begin(request, Scope.ADMIN) as this:
        said = messages.say(this.session, asked.message, this.caller.user_id)
        return this.answer(shapes.admin_message(said) if said else None)
