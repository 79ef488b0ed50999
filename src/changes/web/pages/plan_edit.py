"""Plans made, renamed, switched on and off, and deleted in the browser. What runs keeps its copy."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.errors import Conflict, Invalid
from changes.builds import recipes, remove_plan
from changes.builds.recipes import DEFAULT_ARTIFACTS, DEFAULT_IMPLEMENTATION
from changes.people.rules import Scope
from changes.projects import create, plans, queries
from changes.projects.models import Plan, Project
from changes.projects.rules import PlanStatus
from changes.web import call
from changes.web.pages import drawing, forms, plan_terms, plans_found, step_fields
from changes.web.pages.step_fields import StepFields
from changes.web.params import Parameters, parameters

pages = APIRouter()


class NewPlan(Parameters):
    name: str = ""
    commands: str = ""
    artifacts: str = ""
    timeout: str = ""
    env: str = ""
    path: str = ""


class PlanName(Parameters):
    name: str = ""


class PlanSwitch(Parameters):
    status: str = ""


class Confirmed(Parameters):
    """A button on a page that asked."""


@pages.get("/projects/{slug}/plans/new/")
def ask_for_plan(request: Request, slug: str) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = queries.project(this.session, slug)
        forms.require_project(this, project)
        values = values_of_new(this.session, project, NewPlan())
        return drawing.page(request, "new_plan.html", {**values, **forms.RIGHT})


def values_of_new(session: Session, project: Project, asked: NewPlan) -> dict[str, Any]:
    return {
        "project": project,
        "asked": asked,
        "fields": ("name", *step_fields.FIELDS),
        "kept_otherwise": DEFAULT_ARTIFACTS,
        **plans_found.of(session, project),
    }


@pages.post("/projects/{slug}/plans/new/")
def create_plan(request: Request, slug: str, asked: Annotated[NewPlan, parameters(NewPlan)]) -> Response:
    """Whoever fills in a whole form wants it to run, so this plan is active at once."""
    try:
        with call.acting(request, Scope.WRITE) as this:
            project = queries.project(this.session, slug)
            forms.require_project(this, project)
            plan = whole_plan(this.session, project, asked)
            return this.go(f"/plans/{plan.id.hex}/", f"The plan {plan.label} runs from the next build on.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            values = values_of_new(this.session, queries.project(this.session, slug), asked)
            return forms.again(request, "new_plan.html", values, error)


def whole_plan(session: Session, project: Project, asked: NewPlan) -> Plan:
    fields = StepFields(**asked.model_dump(exclude={"name"}))
    wrong = step_fields.wrong_fields(fields)
    if wrong and not asked.name.strip():
        raise forms.Wrong({"name": "A plan needs a name.", **wrong})
    plan = create.create_plan(session, project, asked.name)
    data = step_fields.to_data(fields)
    recipes.read(DEFAULT_IMPLEMENTATION, data)
    create.create_step(session, plan, DEFAULT_IMPLEMENTATION, data, 0)
    plans.change(session, plan, label=None, status=PlanStatus.ACTIVE)
    return plan


@pages.get("/plans/{plan_id:uuid}/edit/")
def edit_plan(request: Request, plan_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = plan_of(this, plan_id)
        values = {
            "plan": plan,
            "asked": PlanName(name=plan.label),
            **plan_terms.values_of(this.session, plan),
        }
        return drawing.page(request, "edit_plan.html", {**values, **forms.RIGHT})


def plan_of(this: call.Call, plan_id: UUID) -> Plan:
    """For whoever may change it."""
    plan = queries.plan(this.session, plan_id)
    forms.require_project(this, plan.project)
    return plan


@pages.post("/plans/{plan_id:uuid}/edit/")
def rename_plan(
    request: Request, plan_id: UUID, asked: Annotated[PlanName, parameters(PlanName)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            plan = plan_of(this, plan_id)
            plans.change(this.session, plan, label=asked.name, status=None)
            return this.go(f"/plans/{plan_id.hex}/", "Saved.")
    except (Invalid, Conflict) as error:
        with call.open_to_all(request) as this:
            plan = queries.plan(this.session, plan_id)
            options = plan_terms.values_of(this.session, plan)
            values = {"plan": plan, "asked": asked, "fields": ("name",), **options}
            return forms.again(request, "edit_plan.html", values, error)


@pages.post("/plans/{plan_id:uuid}/status/")
def switch_plan(
    request: Request, plan_id: UUID, asked: Annotated[PlanSwitch, parameters(PlanSwitch)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = plan_of(this, plan_id)
        is_active = asked.status == "active"
        plans.change(
            this.session, plan, label=None, status=PlanStatus.ACTIVE if is_active else PlanStatus.INACTIVE
        )
        said = "It runs from the next build on." if is_active else "It is left out from the next build on."
        return this.go(f"/plans/{plan_id.hex}/", said)


@pages.get("/plans/{plan_id:uuid}/delete/")
def ask_to_delete(request: Request, plan_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = plan_of(this, plan_id)
        values = {"plan": plan, "jobs": remove_plan.jobs_of(this.session, plan)}
        return drawing.page(request, "delete_plan.html", values)


@pages.post("/plans/{plan_id:uuid}/delete/")
def delete_plan(
    request: Request, plan_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        plan = plan_of(this, plan_id)
        remove_plan.remove_plan(this.session, plan)
        return this.go(f"/projects/{plan.project.slug}/plans/", f"The plan {plan.label} is gone.")
