"""`.changes.yml`: its schema for editors, a check of a text, and what a build's source changes of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import config_preview, config_reading, config_schema, queries, triggers_rules
from changes.builds.config_reading import FileRead, PlanRead, Preview
from changes.builds.triggers_rules import Kind, Occasion
from changes.people.rules import Scope
from changes.web import answers, call, shapes
from changes.web.params import Json, Parameters, documented, parameters

api = APIRouter(tags=["configuration"])
FILES_MAX = 10_000
TEXT_MAX_CHARS = 1024 * 1024


class Checked(Parameters):
    """Without an event, whether it is right; with one, what would run for it."""

    text: Annotated[str, Field(max_length=TEXT_MAX_CHARS, description="of the file")] = ""
    event: Annotated[str, Field(pattern="^(commit|diff|schedule|hook|project|manual|)$")] = ""
    branch: str = ""
    files: Annotated[list[str] | None, Json, Field(max_length=FILES_MAX, description="that changed")] = None


@api.get("/config-schema.json")
def show_schema() -> Response:
    """JSON Schema of `.changes.yml`, for editors; anybody may read it."""
    return answers.json(config_schema.schema())


@api.post("/config/check/", openapi_extra=documented(Checked))
def check_config(request: Request, asked: Annotated[Checked, parameters(Checked)]) -> Response:
    """Nothing is stored and nothing is run."""
    with call.begin(request, Scope.READ) as this:
        file = config_reading.read(asked.text)
        if asked.event:
            branches = (asked.branch,) if asked.branch else ()
            files = None if asked.files is None else tuple(asked.files)
            file = config_reading.explained(file, Occasion(Kind(asked.event), branches, files=files))
        return this.answer(shape_of_file(file))


@api.get("/builds/{build_id:uuid}/plan-preview/")
def show_preview(request: Request, build_id: UUID) -> Response:
    """Jobs that its source adds, removes and changes; null where it leaves the plans as they were."""
    with call.begin(request, Scope.READ) as this:
        found = config_preview.of_build(this.session, queries.build(this.session, build_id))
        return this.answer({"preview": None if found is None else shape_of_preview(found)})


def shape_of_preview(found: Preview) -> shapes.Json:
    return {
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "problem": found.problem or None,
    }


def shape_of_file(file: FileRead) -> shapes.Json:
    return {
        "isRight": not file.problems,
        "problems": file.problems,
        "plans": [shape_of_plan(each) for each in file.plans],
    }


def shape_of_plan(plan: PlanRead) -> shapes.Json:
    verdict = plan.verdict
    return {
        "name": plan.name,
        "needs": list(plan.terms.needs),
        "owners": list(plan.terms.owners),
        "steps": plan.commands,
        "isRun": None if verdict is None else verdict.is_wanted,
        "why": None if verdict is None else triggers_rules.sentence(verdict.why, verdict.facts),
    }
