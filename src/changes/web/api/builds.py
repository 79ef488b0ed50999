"""/builds/: ask for builds, look at them, cancel them."""

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BeforeValidator, Field, field_validator

from changes.base import ids
from changes.base.process import settings
from changes.builds import ask, cancel, collection, outside, queries, tally, waiting
from changes.builds.models import Build
from changes.builds.recipes import as_text
from changes.builds.rules import Cause
from changes.people.rules import Scope
from changes.projects import change_queries
from changes.projects.models import Project
from changes.results import log_error_queries, origin, statistics, testruns
from changes.web import answers, call, log_error_shapes, paging, shapes, test_shapes
from changes.web.params import (
    Flag,
    Json,
    OptionalText,
    Parameters,
    TextList,
    documented,
    documented_query,
    parameters,
    read,
)
from changes.web.short_way import ShortWay

api = APIRouter(tags=["builds"])
TESTS_SHOWN = 25
# What git takes for a name; longer ones do not fit into an index either.
NAME_MAX = 255
WAIT_MAX_S = 25.0


def as_texts(given: Any) -> Any:
    """A number or a flag may be written as one."""
    if not isinstance(given, dict):
        return given
    plain = bool | int | float
    return {name: as_text(value) if isinstance(value, plain) else value for name, value in given.items()}


class NewBuilds(Parameters):
    """A commit of a project, or of every project of a repository; optionally a patch on top."""

    sha: Annotated[
        str, Field(min_length=1, max_length=NAME_MAX, description="a sha, its beginning, a branch or a tag")
    ]
    project: OptionalText = None
    repository: OptionalText = None
    callsign: Annotated[OptionalText, Field(alias="repository[phabricator.callsign]")] = None
    author: Annotated[OptionalText, Field(max_length=NAME_MAX)] = None
    label: OptionalText = None
    target: OptionalText = None
    message: str | None = None
    patch: Annotated[bytes | None, Field(min_length=1, description="a unified diff, file or field")] = None
    patch_data: Annotated[dict[str, Any] | None, Json, Field(alias="patch[data]")] = None
    patch_label: Annotated[str, Field(alias="patch[label]")] = ""
    patch_url: Annotated[str, Field(alias="patch[url]")] = ""
    change: Annotated[OptionalText, Field(description="of a change: then this is a version of it")] = None
    tag: OptionalText = None
    project_whitelist: Annotated[list[str] | None, Json] = None
    ensure_only: Flag = False
    snapshot_id: OptionalText = None
    no_snapshot: Flag = False
    cause: str = "unknown"
    plans: Annotated[list[str], Json, Field(description="names; without any, all of them")] = []
    parameters: Annotated[
        dict[str, str], BeforeValidator(as_texts), Json, Field(description="of its plans, by their names")
    ] = {}

    @field_validator("cause")
    @classmethod
    def known_cause(cls, value: str) -> str:
        if value not in ("unknown", "manual"):
            raise ValueError("must be unknown or manual")
        return value


class BuildList(Parameters):
    tag: TextList = []


class Waiting(Parameters):
    wait_s: Annotated[float, Field(ge=0, description="hold the answer until the build changes or ends")] = 0


@api.post("/builds/", openapi_extra=documented(NewBuilds))
def create_builds(request: Request, asked: Annotated[NewBuilds, parameters(NewBuilds)]) -> Response:
    """Creates one build per project; the list may be empty when the white list leaves none. With `change`
    it answers as in 2013: `{"build": …}`.
    """
    change_id = ids.parse(asked.change) if asked.change else None
    return call.with_looks(request, lambda: new_builds(request, asked, change_id))


async def create_builds_shortly(request: Request) -> Response:
    return await run_in_threadpool(create_builds, request, await read(request, NewBuilds))


def short_ways(prefix: str) -> list[ShortWay]:
    return [ShortWay(f"{prefix}/builds/", create_builds_shortly)]


def new_builds(request: Request, asked: NewBuilds, change_id: UUID | None) -> Response:
    values = asked.model_dump() | {"cause": Cause[asked.cause.upper()], "change": None}
    with call.begin(request, Scope.WRITE, ask.foreseen(asked.project, asked.sha)) as this:
        if change_id is not None:
            values |= of_change(this, change_id, asked)
        values["asked_by"] = this.caller.asker
        values["has_rights_on"] = this.may_administer
        timeout_min = settings.get().default_job_timeout_min
        builds = ask.build_what_was_asked(this.session, ask.Asked(**values), timeout_min=timeout_min)
        told = summaries(this, builds)
        if change_id is None:
            return this.answer(told)
        return this.answer({"build": told[0] if told else None, "builds": told})


def of_change(this: call.Call, change_id: UUID, asked: NewBuilds) -> dict[str, Any]:
    """It knows its project, or at least its repository."""
    change = change_queries.change(this.session, change_id)
    named = asked.project or asked.repository or asked.callsign
    project = this.session.get(Project, change.project_id) if change.project_id else None
    where = {} if named else {"project": project.slug} if project else {"repository": change.repository.url}
    return {"change": change, **where}


@api.get("/builds/", openapi_extra=documented_query(BuildList, paged=True, by_id=True))
def list_builds(request: Request, asked: Annotated[BuildList, parameters(BuildList)]) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        wanted = queries.BuildFilter(tags=[tag for tag in asked.tag if tag])
        part = queries.builds(this.session, page, wanted)
        headers = paging.link_header(request, page, part)
        return this.answer(summaries(this, list(part.rows)), headers=headers)


def summaries(this: call.Call, builds: list[Build]) -> list[dict[str, Any]]:
    """Two questions for any number of builds, and none about those of which nothing has begun."""
    begun = [build.id for build in builds if build.date_started or tally.has_ended_part(build.tally)]
    stats = statistics.of_items(this.session, begun) if begun else {}
    failures = queries.failures_of(this.session, begun) if begun else {}
    return [shapes.build(build, stats.get(build.id, {}), failures.get(build.id, [])) for build in builds]


@api.get("/builds/{build_id:uuid}/", openapi_extra=documented_query(Waiting))
async def show_build(
    request: Request, build_id: UUID, asked: Annotated[Waiting, parameters(Waiting)]
) -> Response:
    """With `wait_s` an unfinished build is answered when something changes, or after that time."""
    bell = request.app.state.bell
    request.state.held = asked.wait_s > 0
    until = time.monotonic() + min(asked.wait_s, WAIT_MAX_S)
    known: dict[str, Any] | None = None
    while True:
        with bell.listening(f"build:{build_id.hex}") as ring:
            data = await run_in_threadpool(details, request, build_id)
            known = known or data
            left_s = until - time.monotonic()
            if left_s <= 0 or bell.closed.is_set() or is_news(data, known):
                return answers.json(data)
            await bell.wait(ring, left_s)


def is_news(data: dict[str, Any], known: dict[str, Any]) -> bool:
    """A ring may be about something that was known before the wait began; its end is always news."""
    told = ("status", "result", "jobs", "failures", "lostAttempts")
    return data["status"]["id"] == "finished" or any(data[name] != known[name] for name in told)


def details(request: Request, build_id: UUID) -> dict[str, Any]:
    with call.begin(request, Scope.READ) as this:
        build = queries.build(this.session, build_id)
        jobs = queries.jobs_of(this.session, [build_id])[build_id]
        stats = statistics.of_items(this.session, [build_id, *(job.id for job in jobs)])
        failures = queries.failures_of(this.session, [build_id])[build_id]
        return {
            **shapes.build(build, stats[build_id], failures),
            "jobs": [shapes.job(job, stats[job.id]) for job in jobs],
            "waiting": waiting.sentence(this.session, build, silence_s=settings.get().node_silence_max_s),
            "lostAttempts": [shapes.failure(why) for why in waiting.lost_attempts(this.session, build_id)],
            "testFailures": test_failures(this, build_id, stats[build_id].get("test_failures", 0)),
            "errors": [
                log_error_shapes.seen(each) for each in log_error_queries.of_build(this.session, build)
            ],
            "outside": shapes.outside(outside.of_build(this.session, build_id)),
            "events": [shapes.event(each) for each in collection.events_of(this.session, build_id)],
            "seenBy": [],
            "parents": [],
        }


def test_failures(this: call.Call, build_id: UUID, total: int) -> dict[str, Any]:
    found = testruns.failures_of_build(this.session, build_id, limit=TESTS_SHOWN)
    messages = testruns.messages(this.session, [run.id for run, _, _ in found])
    build = queries.build(this.session, build_id)
    begun = origin.of_tests(this.session, build, {run.test_id for run, _, _ in found})
    tests = [
        {
            **test_shapes.test_case(run, test, batch),
            "message": messages.get(run.id, ""),
            "origin": shapes.build(begun[run.test_id]),
        }
        for run, test, batch in found
    ]
    return {"total": total, "tests": tests}


@api.post("/builds/{build_id:uuid}/cancel/")
def cancel_build(request: Request, build_id: UUID) -> Response:
    """204 when there was nothing left to cancel."""
    with call.begin(request, Scope.WRITE) as this:
        build = queries.build(this.session, build_id)
        if not cancel.cancel_build(this.session, build, by=this.caller.asker):
            return this.answer_nothing()
        return this.answer(summaries(this, [build])[0])
