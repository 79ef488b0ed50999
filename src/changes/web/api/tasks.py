"""/tasks/ and /task_stats/: background work, and what an operator may do about what was given up."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import ids, jobs, task_health
from changes.base.task import Task
from changes.people.rules import Scope
from changes.web import call, paging, shapes
from changes.web.params import OptionalText, Parameters, documented_query, parameters

api = APIRouter(tags=["infrastructure"])
ALL = "all"


class TasksAsked(Parameters):
    object_id: Annotated[OptionalText, Field(description="of the thing they work on")] = None
    state: Annotated[str | None, Field(pattern="^failed$", description="failed: those given up")] = None
    name: Annotated[str, Field(description="of those given up")] = ""


@api.get("/tasks/", openapi_extra=documented_query(TasksAsked, paged=True, by_id=True))
def list_tasks(request: Request, asked: Annotated[TasksAsked, parameters(TasksAsked)]) -> Response:
    """Background work, newest first."""
    page = paging.page_of(request, by_id=True)
    of = ids.parse(asked.object_id) if asked.object_id else None
    with call.begin(request, Scope.READ) as this:
        if asked.state:
            part = task_health.dead(this.session, page, asked.name)
        else:
            part = jobs.newest(this.session, page, child_id=of)
        shaped, headers = paging.shaped(request, page, part, shape)
        return this.answer(shaped, headers=headers)


@api.get("/tasks/{task_id:uuid}/")
def show_task(request: Request, task_id: UUID) -> Response:
    """With all below it."""
    with call.begin(request, Scope.READ) as this:
        found = task_health.task(this.session, task_id)
        below = task_health.children(this.session, task_id)
        return this.answer(with_children(found, below))


def with_children(task: Task, below: Any) -> dict[str, Any]:
    """A task never stands among its own parents, or the answer would have no end."""
    rest = [each for each in below if each.id != task.id]
    mine = [each for each in rest if each.parent_id == task.id]
    others = [each for each in rest if each.parent_id != task.id]
    return {**shape(task), "children": [with_children(each, others) for each in mine]}


def shape(each: Task) -> dict[str, Any]:
    return {
        "id": each.id.hex,
        "name": each.name,
        "childId": each.child_id.hex,
        "parentId": shapes.hex_or_none(each.parent_id),
        "state": each.state.name.lower(),
        "attempts": each.attempts,
        "error": each.error,
        "dateCreated": shapes.when(each.date_created),
        "dateDue": shapes.when(each.due_at),
        "dateFinished": shapes.when(each.date_finished),
    }


@api.get("/task_stats/")
def show_statistics(request: Request) -> Response:
    """By name and state, and `all` of them: of tasks that have not ended."""
    with call.begin(request, Scope.READ) as this:
        told: dict[str, dict[str, dict[str, Any]]] = {}
        for name, state, count, attempts, oldest in task_health.statistics(this.session):
            for key in (name, ALL):
                for kind in (state.name.lower(), ALL):
                    add(told.setdefault(key, {}).setdefault(kind, {}), (count, attempts, oldest))
        return this.answer(told)


def add(known: dict[str, Any], seen: tuple[int, int, Any]) -> None:
    count, attempts, oldest = seen
    when = str(shapes.when(oldest))
    known["count"] = known.get("count", 0) + count
    known["max_retries"] = max(known.get("max_retries", 0), attempts)
    known["oldest_created_time"] = min(known.get("oldest_created_time") or when, when)


@api.post("/tasks/{task_id:uuid}/again/")
def do_again(request: Request, task_id: UUID) -> Response:
    """One that was given up, from its first attempt on."""
    with call.begin(request, Scope.ADMIN) as this:
        return this.answer(shape(task_health.again(this.session, task_id)))


@api.delete("/tasks/{task_id:uuid}/")
def forget(request: Request, task_id: UUID) -> Response:
    """One that was given up; what it was to do stays undone."""
    with call.begin(request, Scope.ADMIN) as this:
        task_health.forget(this.session, task_id)
        return this.answer_nothing()
