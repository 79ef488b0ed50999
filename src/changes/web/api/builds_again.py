"""Builds, jobs and steps done again, and parts of a build cancelled."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.process import settings
from changes.builds import again, cancel, queries
from changes.builds.rules import Cause
from changes.people.rules import Scope
from changes.web import call, shapes
from changes.web.api.builds import summaries
from changes.web.params import Parameters, documented, parameters

api = APIRouter(tags=["builds"])


class Retry(Parameters):
    only: Annotated[
        str | None,
        Field(
            pattern="^(failed|)$",
            description="failed: new attempts in the same build, at what did not pass; otherwise a new build",
        ),
    ] = None


@api.post("/builds/{build_id:uuid}/retry/", openapi_extra=documented(Retry))
def retry_build(request: Request, build_id: UUID, asked: Annotated[Retry, parameters(Retry)]) -> Response:
    """A new build of the same source, with the plans as they are now; or only what failed."""
    with call.begin(request, Scope.WRITE) as this:
        build = queries.build(this.session, build_id)
        if asked.only:
            again.repeat_failed(this.session, build)
            return this.answer(summaries(this, [queries.build(this.session, build_id)])[0])
        timeout_min = settings.get().default_job_timeout_min
        made = again.build_again(
            this.session, build, Cause.RETRY, timeout_min=timeout_min, asked_by=this.caller.asker
        )
        # What clients of the original follow.
        headers = {"Location": f"/api/0/builds/{made.id.hex}/"}
        return this.answer(summaries(this, [made])[0], 201, headers)


@api.post("/builds/{build_id:uuid}/restart/")
def restart_build(request: Request, build_id: UUID) -> Response:
    """All of a build that has ended once more, in the same build, with its plans as they were."""
    with call.begin(request, Scope.WRITE) as this:
        again.restart(this.session, queries.build(this.session, build_id))
        return this.answer(summaries(this, [queries.build(this.session, build_id)])[0])


@api.post("/jobs/{job_id:uuid}/retry/")
def retry_job(request: Request, job_id: UUID) -> Response:
    """All steps of a job that has ended once more; its build goes on until that has ended too."""
    with call.begin(request, Scope.WRITE) as this:
        again.repeat_job(this.session, job_id)
        return this.answer(shapes.job(queries.job(this.session, job_id)))


@api.post("/jobs/{job_id:uuid}/cancel/")
def cancel_job(request: Request, job_id: UUID) -> Response:
    """204 when there was nothing left to cancel. The other jobs of the build go on."""
    with call.begin(request, Scope.WRITE) as this:
        if not cancel.cancel_job(this.session, job_id, by=this.caller.asker):
            return this.answer_nothing()
        return this.answer(shapes.job(queries.job(this.session, job_id)))


@api.post("/jobsteps/{step_id:uuid}/cancel/")
def cancel_step(request: Request, step_id: UUID) -> Response:
    """204 when there was nothing left to cancel. The other steps of its phase go on."""
    with call.begin(request, Scope.WRITE) as this:
        if not cancel.cancel_step(this.session, step_id, by=this.caller.asker):
            return this.answer_nothing()
        return this.answer(shapes.job_step(queries.step(this.session, step_id)))
