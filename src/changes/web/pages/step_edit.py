"""The steps of a plan: added, changed, moved and deleted, by fields or as JSON."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid, NotFound
from changes.builds import recipes
from changes.builds.recipes import DEFAULT_ARTIFACTS, DEFAULT_IMPLEMENTATION
from changes.people.rules import Scope
from changes.projects import create, plan_options, plans, queries
from changes.projects.models import Plan, Step
from changes.projects.plan_options import OF_STEPS
from changes.web import call, option_fields
from changes.web.pages import drawing, forms, plan_terms, step_fields
from changes.web.pages.plan_edit import Confirmed, plan_of
from changes.web.pages.step_fields import StepFields
from changes.web.params import Parameters, parameters

pages = APIRouter()
TEMPLATE = "edit_step.html"


class StepAsked(Parameters):
    """`data` is what it does as JSON; with `form` that, otherwise the fields are read."""

    form: str = "fields"
    commands: str = ""
    artifacts: str = ""
    timeout: str = ""
    env: str = ""
    path: str = ""
    data: str = ""


AllOfStep = option_fields.with_options(StepAsked, OF_STEPS)


class Form(Parameters):
    form: str = "fields"


class Direction(Parameters):
    up: str = ""


@pages.get("/plans/{plan_id:uuid}/steps/new/")
def ask_for_step(request: Request, plan_id: UUID, asked: Annotated[Form, parameters(Form)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = editable(this, plan_id)
        asked_for = StepAsked(form=asked.form, data=step_fields.as_json({"commands": []}))
        values = values_of(this.session, plan, None, asked_for)
        return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})


def editable(this: call.Call, plan_id: UUID) -> Plan:
    plan = plan_of(this, plan_id)
    if plan.in_repository:
        raise Invalid("The steps of this plan stand in its repository.")
    return plan


def values_of(session: Session, plan: Plan, step: Step | None, asked: StepAsked) -> dict[str, Any]:
    of_step = queries.options_of_items(session, [step.id])[step.id] if step else {}
    fields = ("data",) if asked.form == "json" else step_fields.FIELDS
    return {
        "plan": plan,
        "step": step,
        "asked": asked,
        "fields": (*fields, *OF_STEPS),
        "declared": [plan_terms.shown(option) for option in OF_STEPS.values()],
        "chosen": plan_options.with_defaults(OF_STEPS, of_step) | options_in(asked),
        "is_plain": step is None or step_fields.from_data(step.implementation, step.data) is not None,
        "kept_otherwise": DEFAULT_ARTIFACTS,
    }


def options_in(asked: StepAsked) -> dict[str, str]:
    """None of what the form did not send; a field that was emptied is as if never filled in."""
    given = option_fields.given(asked, OF_STEPS) if isinstance(asked, AllOfStep) else {}
    return {name: text.strip() or OF_STEPS[name].default for name, text in given.items()}


@pages.post("/plans/{plan_id:uuid}/steps/new/")
def create_step(
    request: Request, plan_id: UUID, asked: Annotated[StepAsked, parameters(AllOfStep)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            plan = editable(this, plan_id)
            data = data_of(DEFAULT_IMPLEMENTATION, asked, {})
            order = plans.next_order(plan)
            step = create.create_step(this.session, plan, DEFAULT_IMPLEMENTATION, data, order)
            plan_options.change(this.session, step.id, OF_STEPS, options_in(asked))
            return this.go(f"/plans/{plan_id.hex}/", "The step is there.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            values = values_of(this.session, queries.plan(this.session, plan_id), None, asked)
            return forms.again(request, TEMPLATE, values, error)


def data_of(implementation: str, asked: StepAsked, kept: dict[str, Any]) -> dict[str, Any]:
    if asked.form == "json":
        data = step_fields.from_json(asked.data)
    else:
        data = step_fields.to_data(StepFields(**asked.model_dump(include=set(step_fields.FIELDS))), kept)
    recipes.read(implementation, data)
    return data


@pages.get("/plans/{plan_id:uuid}/steps/{step_id:uuid}/")
def edit_step(
    request: Request, plan_id: UUID, step_id: UUID, asked: Annotated[Form, parameters(Form)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = editable(this, plan_id)
        step = step_of(plan, step_id)
        values = values_of(this.session, plan, step, as_stored(step, asked))
        return drawing.page(request, TEMPLATE, {**values, **forms.RIGHT})


def step_of(plan: Plan, step_id: UUID) -> Step:
    found = next((step for step in plan.steps if step.id == step_id), None)
    if found is None:
        raise NotFound("This plan has no such step.")
    return found


def as_stored(step: Step, asked: Form) -> StepAsked:
    fields = step_fields.from_data(step.implementation, step.data)
    if fields is None or asked.form == "json":
        return StepAsked(form="json", data=step_fields.as_json(step.data))
    return StepAsked(**vars(fields))


@pages.post("/plans/{plan_id:uuid}/steps/{step_id:uuid}/")
def change_step(
    request: Request, plan_id: UUID, step_id: UUID, asked: Annotated[StepAsked, parameters(AllOfStep)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            step = step_of(editable(this, plan_id), step_id)
            kind = step.implementation
            data = data_of(kind, asked, step.data)
            plans.change_step(this.session, step, implementation=kind, data=data, order=None)
            plan_options.change(this.session, step.id, OF_STEPS, options_in(asked))
            return this.go(f"/plans/{plan_id.hex}/", "Saved. It counts from the next build on.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            plan = queries.plan(this.session, plan_id)
            values = values_of(this.session, plan, step_of(plan, step_id), asked)
            return forms.again(request, TEMPLATE, values, error)


@pages.post("/plans/{plan_id:uuid}/steps/{step_id:uuid}/move/")
def move_step(
    request: Request, plan_id: UUID, step_id: UUID, asked: Annotated[Direction, parameters(Direction)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        step = step_of(editable(this, plan_id), step_id)
        plans.move_step(this.session, step, up=bool(asked.up))
        return this.go(f"/plans/{plan_id.hex}/", "Moved.")


@pages.get("/plans/{plan_id:uuid}/steps/{step_id:uuid}/delete/")
def ask_to_delete(request: Request, plan_id: UUID, step_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = editable(this, plan_id)
        step = step_of(plan, step_id)
        values = {"plan": plan, "step": step, "data": step_fields.as_json(step.data)}
        return drawing.page(request, "delete_step.html", values)


@pages.post("/plans/{plan_id:uuid}/steps/{step_id:uuid}/delete/")
def delete_step(
    request: Request, plan_id: UUID, step_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plans.delete_step(this.session, step_of(editable(this, plan_id), step_id))
        return this.go(f"/plans/{plan_id.hex}/", "The step is gone.")
