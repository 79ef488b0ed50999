"""A word above every page: said, changed and taken away by administrators."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid
from changes.people import messages
from changes.people.rules import Scope
from changes.web import call
from changes.web.pages import drawing, forms
from changes.web.params import Parameters, parameters

pages = APIRouter()


class Said(Parameters):
    message: str = ""
    clear: str = ""


@pages.get("/admin/message/")
def show_message(request: Request) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        now = messages.current(this.session)
        values = {"now_said": now, "asked": Said(message=now.message if now else "")}
        return drawing.page(request, "admin_message.html", {**values, **forms.RIGHT})


@pages.post("/admin/message/")
def say(request: Request, asked: Annotated[Said, parameters(Said)]) -> Response:
    try:
        with call.acting(request, Scope.ADMIN) as this:
            text = "" if asked.clear else asked.message
            made = messages.say(this.session, text, this.caller.user_id)
            return this.go("/admin/message/", "Everybody sees it." if made else "Nothing is shown.")
    except Invalid as error:
        with call.open_to_all(request) as this:
            values = {"now_said": messages.current(this.session), "asked": asked, "fields": ("message",)}
            return forms.again(request, "admin_message.html", values, error)
