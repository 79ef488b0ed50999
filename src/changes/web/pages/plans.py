"""What is built, and how: plans, their steps, and the commands as they would run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid
from changes.builds import queries as builds
from changes.builds import recipes
from changes.builds.models import Job, JobPlan
from changes.builds.recipes import Recipe
from changes.projects import queries
from changes.projects.models import Plan
from changes.web import call, paging
from changes.web.pages import drawing
from changes.web.pages.charts import Point
from changes.web.pages.states import state_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PLANS_PER_PAGE = 100
JOBS_SHOWN = 40
MS_PER_S = 1000


class PlansAsked(Parameters):
    query: str = ""


@pages.get("/plans/")
def list_plans(request: Request, asked: Annotated[PlansAsked, parameters(PlansAsked)]) -> Response:
    page = paging.page_of(request, size=PLANS_PER_PAGE)
    with call.reading(request) as this:
        part = queries.plans_of_active_projects(this.session, page, query=asked.query.strip())
        before, after = paging.newer_and_older(request, page, part)
        values = {"plans": part.rows, "asked": asked, "before": before, "after": after}
        return drawing.page(request, "plans.html", values)


@dataclass(frozen=True)
class StepShown:
    """`recipe` is None where the step cannot run; `problem` says why."""

    name: str
    recipe: Recipe | None
    problem: str
    options: dict[str, str]
    id: UUID | None = None


@pages.get("/plans/{plan_id:uuid}/")
def show_plan(request: Request, plan_id: UUID) -> Response:
    with call.reading(request) as this:
        plan = queries.plan(this.session, plan_id)
        jobs = builds.jobs_of_plan(this.session, plan.id, limit=JOBS_SHOWN)
        options = queries.options_of_items(this.session, [plan.id, *(step.id for step in plan.steps)])
        values = {
            "plan": plan,
            "project": plan.project,
            "steps": steps_of(plan, options) if not plan.in_repository else steps_as_built(jobs),
            "built_by": jobs[0][0] if jobs and plan.in_repository else None,
            "options": options[plan.id],
            "jobs": [job for job, _ in jobs],
            "points": points(plan, jobs),
        }
        return drawing.page(request, "plan.html", values)


def steps_of(plan: Plan, options: dict[UUID, dict[str, str]]) -> list[StepShown]:
    return [shown(step.implementation, step.data, options[step.id], step.id) for step in plan.steps]


def steps_as_built(jobs: Sequence[tuple[Job, JobPlan]]) -> list[StepShown]:
    """Of a plan whose recipe stands in the repository: as the newest build found it there."""
    if not jobs:
        return []
    frozen = jobs[0][1].data.get("snapshot", {}).get("steps", [])
    return [shown(step["implementation"], step["data"], step.get("options", {})) for step in frozen]


def shown(implementation: str, data: Any, options: dict[str, str], step_id: UUID | None = None) -> StepShown:
    name = implementation.rpartition(".")[2]
    try:
        return StepShown(name, recipes.read(implementation, data), "", options, step_id)
    except Invalid as error:
        return StepShown(name, None, error.message, options, step_id)


def points(plan: Plan, jobs: Sequence[tuple[Job, JobPlan]]) -> list[Point]:
    """Oldest left."""
    return [
        Point(
            None if job.duration_ms is None else job.duration_ms / MS_PER_S,
            state_of(job.status, job.result),
            f"Build #{job.build.number}",
            f"/projects/{plan.project.slug}/builds/{job.build.number}/",
        )
        for job, _ in reversed(jobs)
    ]
