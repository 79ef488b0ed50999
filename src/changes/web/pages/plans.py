"""What is built, and how: plans and their steps."""

import json
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.projects import queries
from changes.projects.models import Step
from changes.web import call, paging
from changes.web.pages import drawing

pages = APIRouter()


@pages.get("/plans/")
def list_plans(request: Request) -> Response:
    page = paging.page_of(request, size=paging.SIZE_MAX)
    with call.reading(request) as this:
        part = queries.plans_of_active_projects(this.session, page)
        before, after = paging.newer_and_older(request, page, part)
        values = {"plans": part.rows, "before": before, "after": after}
        return drawing.page(request, "plans.html", values)


@pages.get("/plans/{plan_id:uuid}/")
def show_plan(request: Request, plan_id: UUID) -> Response:
    with call.reading(request) as this:
        plan = queries.plan(this.session, plan_id)
        items = [plan.id, *(step.id for step in plan.steps)]
        values = {
            "plan": plan,
            "steps": [(step, recipe(step)) for step in plan.steps],
            "options": queries.options_of_items(this.session, items),
        }
        return drawing.page(request, "plan.html", values)


def recipe(step: Step) -> str:
    return json.dumps(step.data, indent=2, ensure_ascii=False, sort_keys=True)
