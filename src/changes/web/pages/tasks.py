"""Background work, for administrators: what waits, what is late, what fails and why, what was given up."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import task_health
from changes.base.task import FINAL
from changes.people.rules import Scope
from changes.web import call, paging
from changes.web.pages import drawing
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
DEAD_PER_PAGE = 25
TROUBLED_SHOWN = 50
HERE = "/tasks/"


class TasksAsked(Parameters):
    name: str = ""


@pages.get("/tasks/")
def show_tasks(request: Request, asked: Annotated[TasksAsked, parameters(TasksAsked)]) -> Response:
    page = paging.walked(request, size=DEAD_PER_PAGE)
    with call.acting(request, Scope.ADMIN) as this:
        part = task_health.dead(this.session, page, asked.name)
        newer, older = paging.newer_and_older(request, page, part)
        kinds = task_health.kinds(this.session)
        values = {
            "kinds": [each for each in kinds if not asked.name or each.name == asked.name],
            "names": [("", "All"), *((name, name) for name in sorted({each.name for each in kinds}))],
            "asked": asked,
            "open_count": sum(each.count for each in kinds if each.state not in FINAL),
            "late_count": sum(each.late for each in kinds),
            "dead_count": sum(each.count for each in kinds if each.state in FINAL),
            "troubled": task_health.in_trouble(this.session, limit=TROUBLED_SHOWN, name=asked.name),
            "late_s": task_health.LATE_S,
            "dead": part.rows,
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "tasks.html", values)


@pages.post("/tasks/{task_id:uuid}/again/")
def do_again(
    request: Request, task_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        task = task_health.again(this.session, task_id)
        return this.go(HERE, f"{task.name} is tried again.")


@pages.get("/tasks/{task_id:uuid}/forget/")
def ask_to_forget(request: Request, task_id: UUID) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        task = task_health.task(this.session, task_id)
        values = {
            "title": f"Forget {task.name}?",
            "words": "What it was to do stays undone, unless somebody asks for it anew. Its last error: "
            f"{task.error or 'none was noted'}",
            "crumbs": [("Tasks", HERE), ("Forget", "")],
            "action": f"{HERE}{task_id.hex}/forget/",
            "button": "Forget it",
            "icon": "trash",
            "back": HERE,
        }
        return drawing.page(request, "confirm.html", values)


@pages.post("/tasks/{task_id:uuid}/forget/")
def forget(request: Request, task_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        task_health.forget(this.session, task_id)
        return this.go(HERE, "It is forgotten.")
