"""/plans/ and /steps/: what to run."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import ids
from changes.builds import recipes, remove_plan
from changes.people.rules import Scope
from changes.projects import create, plans, queries
from changes.projects.rules import PlanStatus
from changes.web import call, paging, shapes
from changes.web.params import Json, Parameters, documented, documented_query, parameters

api = APIRouter(tags=["plans"])
ORDER_MAX = 2**31 - 1


class NewPlan(Parameters):
    name: Annotated[str, Field(min_length=1, max_length=128)]


class PlanChange(Parameters):
    name: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    status: Annotated[str | None, Field(pattern="^(active|inactive)$")] = None
    snapshot_plan_id: Annotated[
        str | None, Field(description="the plan whose snapshots it begins with; empty is its own")
    ] = None


class PlanList(Parameters):
    status: Annotated[str, Field(pattern="^(active|inactive|)$")] = "active"


class NewStep(Parameters):
    implementation: Annotated[str, Field(min_length=1)] = recipes.DEFAULT_IMPLEMENTATION
    data: Annotated[dict[str, Any], Json] = {}
    order: Annotated[int, Field(ge=0, le=ORDER_MAX)] = 0


class StepChange(Parameters):
    implementation: str | None = None
    data: Annotated[dict[str, Any] | None, Json] = None
    order: Annotated[int | None, Field(ge=0, le=ORDER_MAX)] = None


@api.get("/projects/{project_id}/plans/", openapi_extra=documented_query(PlanList, paged=True))
def list_plans(
    request: Request, project_id: str, asked: Annotated[PlanList, parameters(PlanList)]
) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        status = PlanStatus[asked.status.upper()] if asked.status else None
        part = queries.plans(this.session, page, project, status=status)
        shaped, headers = paging.shaped(request, page, part, shapes.plan)
        return this.answer(shaped, headers=headers)


@api.post("/projects/{project_id}/plans/", openapi_extra=documented(NewPlan))
def create_plan(
    request: Request, project_id: str, asked: Annotated[NewPlan, parameters(NewPlan)]
) -> Response:
    """New plans are inactive: give it steps, then `POST /plans/<id>/` with status=active."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        plan = create.create_plan(this.session, project, asked.name)
        return this.answer(shapes.plan(queries.plan(this.session, plan.id)))


@api.get("/plans/{plan_id:uuid}/")
def show_plan(request: Request, plan_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shapes.plan(queries.plan(this.session, plan_id)))


@api.post("/plans/{plan_id:uuid}/", openapi_extra=documented(PlanChange))
def change_plan(
    request: Request, plan_id: UUID, asked: Annotated[PlanChange, parameters(PlanChange)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        plan = queries.plan(this.session, plan_id)
        this.require_project(plan.project.slug)
        status = PlanStatus[asked.status.upper()] if asked.status else None
        plans.change(this.session, plan, label=asked.name, status=status)
        if asked.snapshot_plan_id is not None:
            lender_id = asked.snapshot_plan_id
            lender = queries.plan(this.session, ids.parse(lender_id)) if lender_id else None
            plans.borrow_snapshots(this.session, plan, lender)
        return this.answer(shapes.plan(plan))


@api.delete("/plans/{plan_id:uuid}/")
def delete_plan(request: Request, plan_id: UUID) -> Response:
    """Only a plan that never ran: what ran keeps its plan."""
    with call.begin(request, Scope.WRITE) as this:
        plan = queries.plan(this.session, plan_id)
        this.require_project(plan.project.slug)
        remove_plan.remove_plan(this.session, plan)
        return this.answer({})


@api.get("/plans/{plan_id:uuid}/steps/")
def list_steps(request: Request, plan_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        plan = queries.plan(this.session, plan_id)
        return this.answer([shapes.step_of_plan(step) for step in plan.steps])


@api.post("/plans/{plan_id:uuid}/steps/", openapi_extra=documented(NewStep))
def create_step(request: Request, plan_id: UUID, asked: Annotated[NewStep, parameters(NewStep)]) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        plan = queries.plan(this.session, plan_id)
        this.require_project(plan.project.slug)
        recipes.read(asked.implementation, asked.data)
        step = create.create_step(this.session, plan, asked.implementation, asked.data, asked.order)
        return this.answer(shapes.step_of_plan(step), 201)


@api.get("/steps/{step_id:uuid}/")
def show_step(request: Request, step_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shapes.step_of_plan(queries.step(this.session, step_id)))


@api.post("/steps/{step_id:uuid}/", openapi_extra=documented(StepChange))
def change_step(
    request: Request, step_id: UUID, asked: Annotated[StepChange, parameters(StepChange)]
) -> Response:
    """What is left out stays as it is."""
    with call.begin(request, Scope.WRITE) as this:
        step = queries.step(this.session, step_id)
        this.require_project(queries.plan(this.session, step.plan_id).project.slug)
        implementation = asked.implementation or step.implementation
        data = asked.data if asked.data is not None else step.data
        recipes.read(implementation, data)
        plans.change_step(this.session, step, implementation=implementation, data=data, order=asked.order)
        return this.answer(shapes.step_of_plan(step))


@api.delete("/steps/{step_id:uuid}/")
def delete_step(request: Request, step_id: UUID) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        step = queries.step(this.session, step_id)
        this.require_project(queries.plan(this.session, step.plan_id).project.slug)
        plans.delete_step(this.session, step)
        return this.answer({})
