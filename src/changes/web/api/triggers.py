"""Why something was built or not, and what builds by itself: decisions and schedules of a project."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid
from changes.builds import schedules, triggers_queries
from changes.builds.triggers_models import BuildSchedule
from changes.builds.triggers_queries import Told
from changes.people.rules import Scope
from changes.projects import queries
from changes.web import call, paging, shapes
from changes.web.params import Flag, Json, Parameters, documented, documented_query, parameters

api = APIRouter(prefix="/projects", tags=["triggers"])


class Schedule(Parameters):
    """A line of cron, in the time of a place."""

    name: str = ""
    cron: Annotated[str, Field(description="five fields, or @daily and the like")] = ""
    zone: Annotated[str, Field(description="such as Europe/Berlin")] = "UTC"
    branch: Annotated[str, Field(description="empty is the default branch")] = ""
    jitter_min: Annotated[int, Field(description="up to so many minutes later, by chance")] = 0
    only_if_changed: Flag = False
    parameters: Annotated[dict[str, str], Json] = {}
    is_on: Flag = True

    def wanted(self) -> schedules.Wanted:
        return schedules.Wanted(**self.model_dump())


class Decisions(Parameters):
    only: Annotated[str, Field(pattern="^(built|skipped|)$")] = ""


def shape_of_told(told: Told) -> shapes.Json:
    decision, build = told.decision, told.build
    return {
        "id": decision.id.hex if decision else None,
        "kind": told.kind,
        "sha": told.sha,
        "isBuilt": told.is_wanted,
        "why": told.text,
        "plans": [{"name": each.name, "isRun": each.is_wanted, "why": each.text} for each in told.plans],
        "build": {"id": build.id.hex, "number": build.number} if build else None,
        "dateCreated": shapes.when(decision.date_created) if decision else None,
    }


def shape_of_schedule(each: BuildSchedule) -> shapes.Json:
    return {
        "id": each.id.hex,
        "name": each.name,
        "cron": each.cron,
        "zone": each.zone,
        "branch": each.branch,
        "jitterMinutes": each.jitter_s // 60,
        "onlyIfChanged": each.only_if_changed,
        "parameters": each.parameters,
        "isOn": each.is_on,
        "dateDue": shapes.when(each.date_due),
        "dateLast": shapes.when(each.date_last),
        "lastError": each.last_error or None,
    }


@api.get("/{project_id}/decisions/", openapi_extra=documented_query(Decisions, paged=True, by_id=True))
def list_decisions(
    request: Request, project_id: str, asked: Annotated[Decisions, parameters(Decisions)]
) -> Response:
    """Newest first: what was looked at, whether it was built, and why."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        part = triggers_queries.decisions(this.session, project, page, only=asked.only)
        headers = paging.link_header(request, page, part)
        told = [shape_of_told(triggers_queries.told(each)) for each in part.rows]
        return this.answer(told, headers=headers)


@api.get("/{project_id}/why-built/{sha}/")
def why_built(request: Request, project_id: str, sha: str) -> Response:
    """What was decided about a commit; where nothing was, why not. A beginning of the sha is enough."""
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        revision = triggers_queries.revision_like(this.session, project, sha)
        told = triggers_queries.why_built(this.session, project, revision)
        return this.answer({"sha": revision.sha, "decisions": [shape_of_told(each) for each in told]})


@api.get("/{project_id}/schedules/")
def list_schedules(request: Request, project_id: str) -> Response:
    with call.begin(request, Scope.READ) as this:
        project = queries.project(this.session, project_id)
        return this.answer([shape_of_schedule(each) for each in schedules.of(this.session, project)])


@api.post("/{project_id}/schedules/", openapi_extra=documented(Schedule))
def create_schedule(
    request: Request, project_id: str, asked: Annotated[Schedule, parameters(Schedule)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        made = schedules.create(this.session, project, asked.wanted())
        return this.answer(shape_of_schedule(made), 201)


@api.post("/{project_id}/schedules/{schedule_id:uuid}/", openapi_extra=documented(Schedule))
def change_schedule(
    request: Request, project_id: str, schedule_id: UUID, asked: Annotated[Schedule, parameters(Schedule)]
) -> Response:
    """What is not named stays as it is."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        schedule = schedules.find(this.session, project, schedule_id)
        named: dict[str, Any] = asked.model_dump(exclude_unset=True)
        if not named:
            raise Invalid("Name what is to change.")
        schedules.change(this.session, project, schedule, schedules.changed(schedule, named))
        return this.answer(shape_of_schedule(schedule))


@api.delete("/{project_id}/schedules/{schedule_id:uuid}/")
def drop_schedule(request: Request, project_id: str, schedule_id: UUID) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        schedules.drop(this.session, schedules.find(this.session, project, schedule_id))
        return this.answer_nothing()
