"""/collections/: the builds that one request asked for together, and their common verdict."""

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from changes.builds import collection
from changes.builds.rules import Status
from changes.people.rules import Scope
from changes.web import answers, call, shapes
from changes.web.api.builds import WAIT_MAX_S, Waiting, summaries
from changes.web.params import documented_query, parameters

api = APIRouter(tags=["builds"])


@api.get("/collections/{collection_id:uuid}/", openapi_extra=documented_query(Waiting))
async def show_collection(
    request: Request, collection_id: UUID, asked: Annotated[Waiting, parameters(Waiting)]
) -> Response:
    """With `wait_s` it is answered when one of the builds changes, or after that time."""
    bell = request.app.state.bell
    request.state.held = asked.wait_s > 0
    until = time.monotonic() + min(asked.wait_s, WAIT_MAX_S)
    data = await run_in_threadpool(details, request, collection_id)
    # Those that belong to it are known from the beginning: nobody is added later.
    topics = [f"build:{build['id']}" for build in data["builds"]]
    known = states(data)
    while True:
        with bell.listening(*topics) as ring:
            data = await run_in_threadpool(details, request, collection_id)
            left_s = until - time.monotonic()
            is_over = data["status"]["id"] == "finished"
            if left_s <= 0 or bell.closed.is_set() or is_over or states(data) != known:
                return answers.json(data)
            await bell.wait(ring, left_s)


def states(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(build["status"]["id"], build["result"]["id"]) for build in data["builds"]]


def details(request: Request, collection_id: UUID) -> dict[str, Any]:
    with call.begin(request, Scope.READ) as this:
        builds = collection.builds_of(this.session, collection_id)
        verdict = collection.verdict(builds)
        ends = [build.date_finished for build in builds if build.date_finished is not None]
        return {
            "id": collection_id.hex,
            "status": shapes.enum(Status.FINISHED if verdict.is_finished else Status.IN_PROGRESS),
            "result": shapes.enum(verdict.result),
            "dateFinished": shapes.when(max(ends)) if verdict.is_finished and ends else None,
            "builds": summaries(this, list(builds)),
        }
