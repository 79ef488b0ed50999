"""…/comments/: what people say of builds, jobs and tests, and taking back what was said of anything."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import queries as builds
from changes.people.rules import Scope
from changes.projects import comments
from changes.projects.comments import Said
from changes.projects.rules import CommentTarget
from changes.results import suite
from changes.web import call, change_shapes, remarks
from changes.web.api.changes import NewComment
from changes.web.call import Call
from changes.web.params import documented, parameters

api = APIRouter(tags=["comments"])
NewWords = Annotated[NewComment, parameters(NewComment)]


@api.get("/builds/{build_id:uuid}/comments/")
def list_of_build(request: Request, build_id: UUID) -> Response:
    """Newest first."""
    with call.begin(request, Scope.READ) as this:
        return listed(this, CommentTarget.BUILD, builds.build(this.session, build_id).id)


@api.post("/builds/{build_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_build(request: Request, build_id: UUID, asked: NewWords) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        return said(this, CommentTarget.BUILD, builds.build(this.session, build_id).id, asked)


@api.get("/jobs/{job_id:uuid}/comments/")
def list_of_job(request: Request, job_id: UUID) -> Response:
    """Newest first."""
    with call.begin(request, Scope.READ) as this:
        return listed(this, CommentTarget.JOB, builds.job(this.session, job_id).id)


@api.post("/jobs/{job_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_job(request: Request, job_id: UUID, asked: NewWords) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        return said(this, CommentTarget.JOB, builds.job(this.session, job_id).id, asked)


@api.get("/tests/{run_id:uuid}/comments/")
def list_of_test(request: Request, run_id: UUID) -> Response:
    """By one of its runs; they are of the test, and stand with every run of it. Newest first."""
    with call.begin(request, Scope.READ) as this:
        return listed(this, CommentTarget.TEST, suite.test_of_run(this.session, run_id).outside_id)


@api.post("/tests/{run_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_test(request: Request, run_id: UUID, asked: NewWords) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        return said(this, CommentTarget.TEST, suite.test_of_run(this.session, run_id).outside_id, asked)


@api.delete("/comments/{comment_id:uuid}/")
def take_back(request: Request, comment_id: UUID) -> Response:
    """By whoever wrote it, or by an administrator."""
    with call.begin(request, Scope.WRITE) as this:
        remarks.take_back(this, comments.comment(this.session, comment_id))
        return this.answer_nothing()


def listed(this: Call, target: CommentTarget, target_id: UUID) -> Response:
    found = comments.of(this.session, target, [target_id])
    return this.answer([change_shapes.comment(each) for each in reversed(found)])


def said(this: Call, target: CommentTarget, target_id: UUID, asked: NewComment) -> Response:
    return this.answer(change_shapes.comment(remarks.say(this, target, target_id, Said(asked.text))))
