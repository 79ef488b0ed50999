"""Options of plans and steps, and what a step may be told: for forms that are drawn from it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import implementations
from changes.builds.implementations import Implementation
from changes.people.rules import Scope
from changes.projects import plan_options, queries
from changes.projects.plan_options import OF_PLANS, OF_STEPS
from changes.web import call, option_fields, shapes
from changes.web.params import Parameters, documented, parameters

api = APIRouter(tags=["plans"])


class OptionsOfPlan(Parameters):
    """What is left out stays as it is."""


class OptionsOfStep(Parameters):
    """What is left out stays as it is."""


AllOfPlan = option_fields.with_options(OptionsOfPlan, OF_PLANS)
AllOfStep = option_fields.with_options(OptionsOfStep, OF_STEPS)


@api.get("/implementations/")
def list_implementations(request: Request) -> Response:
    """Which there are, and the fields of their data."""
    with call.begin(request, Scope.READ) as this:
        return this.answer([shape(each) for each in implementations.BY_NAME.values()])


def shape(each: Implementation) -> shapes.Json:
    fields = [
        {"name": one.name, "label": one.label, "kind": one.kind, "help": one.help, "default": one.default}
        for one in each.fields
    ]
    return {"id": each.name, "name": each.label, "fields": fields}


@api.get("/plans/{plan_id:uuid}/options/")
def show_plan_options(request: Request, plan_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        plan = queries.plan(this.session, plan_id)
        stored = queries.options_of_items(this.session, [plan.id])[plan.id]
        return this.answer(plan_options.with_defaults(OF_PLANS, stored))


@api.post("/plans/{plan_id:uuid}/options/", openapi_extra=documented(AllOfPlan))
def change_plan_options(
    request: Request, plan_id: UUID, asked: Annotated[OptionsOfPlan, parameters(AllOfPlan)]
) -> Response:
    """A plan in the repository says the same there."""
    with call.begin(request, Scope.WRITE) as this:
        plan = queries.plan(this.session, plan_id)
        this.require_project(plan.project.slug)
        plan_options.refuse_in_repository(plan)
        plan_options.change(this.session, plan.id, OF_PLANS, option_fields.given(asked, OF_PLANS))
        return this.answer({})


@api.get("/steps/{step_id:uuid}/options/")
def show_step_options(request: Request, step_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        step = queries.step(this.session, step_id)
        stored = queries.options_of_items(this.session, [step.id])[step.id]
        return this.answer(plan_options.with_defaults(OF_STEPS, stored))


@api.post("/steps/{step_id:uuid}/options/", openapi_extra=documented(AllOfStep))
def change_step_options(
    request: Request, step_id: UUID, asked: Annotated[OptionsOfStep, parameters(AllOfStep)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        step = queries.step(this.session, step_id)
        this.require_project(queries.plan(this.session, step.plan_id).project.slug)
        plan_options.change(this.session, step.id, OF_STEPS, option_fields.given(asked, OF_STEPS))
        return this.answer({})
