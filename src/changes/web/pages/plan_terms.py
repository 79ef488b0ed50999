"""The options of a plan on the server as a form: what it needs, what is tried again, what limits it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid
from changes.people.rules import Scope
from changes.projects import plan_options, queries
from changes.projects.models import Plan
from changes.projects.options import Option
from changes.projects.plan_options import NEEDS, OF_PLANS, RETRY_PATTERNS, YES_OR_NO
from changes.web import call, option_fields
from changes.web.pages import forms
from changes.web.params import Parameters, parameters

pages = APIRouter()
# One in each line.
SEVERAL = (NEEDS, RETRY_PATTERNS)
YES = "1: "


class Terms(Parameters):
    """What is left out stays as it is."""


AllTerms = option_fields.with_options(Terms, OF_PLANS)


def shown(option: Option) -> dict[str, Any]:
    """How a form shows an option."""
    help_text = option.help.removeprefix(YES)
    words = {"0": "no", "1": "yes"} if option.choices == YES_OR_NO else {}
    return {
        "name": option.name,
        "label": option.label + (" in minutes" if option.is_minutes else ""),
        "help": help_text[:1].upper() + help_text[1:],
        "choices": [(each, words.get(each, each.replace("-", " "))) for each in option.choices],
        "is_number": option.is_minutes or option.between is not None,
        "has_lines": option.is_lines or option.name in SEVERAL,
        "length_max": option.length_max,
    }


def values_of(session: Session, plan: Plan, typed: Terms | None = None) -> dict[str, Any]:
    stored = queries.options_of_items(session, [plan.id])[plan.id]
    chosen = plan_options.with_defaults(OF_PLANS, stored)
    return {
        "declared": [shown(option) for option in OF_PLANS.values()],
        "chosen": chosen | (option_fields.given(typed, OF_PLANS) if typed is not None else {}),
    }


@pages.post("/plans/{plan_id:uuid}/options/")
def change_terms(request: Request, plan_id: UUID, asked: Annotated[Terms, parameters(AllTerms)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            plan = queries.plan(this.session, plan_id)
            forms.require_project(this, plan.project)
            plan_options.refuse_in_repository(plan)
            plan_options.change(this.session, plan.id, OF_PLANS, without_blanks(asked))
            return this.go(f"/plans/{plan_id.hex}/", "Saved. It counts from the next build on.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            plan = queries.plan(this.session, plan_id)
            values = {"plan": plan, "asked": {"name": plan.label}, **values_of(this.session, plan, asked)}
            values["fields"] = tuple(OF_PLANS)
            return forms.again(request, "edit_plan.html", values, error)


def without_blanks(asked: Terms) -> dict[str, str]:
    """A field that was emptied is as if nobody had ever filled it in."""
    given = option_fields.given(asked, OF_PLANS)
    return {
        name: text.replace("\r\n", "\n").strip() or OF_PLANS[name].default for name, text in given.items()
    }
