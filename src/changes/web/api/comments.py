"""…/comments/: what people say of changes, versions, builds, jobs and tests, and taking it back."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.db import Session
from changes.builds import queries as builds
from changes.people.rules import Scope
from changes.projects import change_queries, comments
from changes.projects.comments import Said
from changes.projects.rules import CommentTarget
from changes.results import suite
from changes.web import call, change_shapes, remarks
from changes.web.params import Parameters, documented, parameters

api = APIRouter(tags=["comments"])
# Says of whom the comments are, or that there is no such thing.
Find = Callable[[Session], UUID]


class NewComment(Parameters):
    text: Annotated[str, Field(min_length=1)]


class NewLineComment(NewComment):
    path: str = ""
    line: Annotated[int | None, Field(ge=1, lt=2**31)] = None


NewWords = Annotated[NewComment, parameters(NewComment)]


@api.get("/changes/{change_id:uuid}/comments/")
def list_of_change(request: Request, change_id: UUID) -> Response:
    """Newest first."""
    return listed(request, CommentTarget.CHANGE, of_change(change_id))


@api.post("/changes/{change_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_change(request: Request, change_id: UUID, asked: NewWords) -> Response:
    return said(request, CommentTarget.CHANGE, of_change(change_id), Said(asked.text))


@api.get("/sources/{source_id:uuid}/comments/")
def list_of_source(request: Request, source_id: UUID) -> Response:
    """Those on it and on its lines, newest first."""
    return listed(request, CommentTarget.SOURCE, of_source(source_id))


@api.post("/sources/{source_id:uuid}/comments/", openapi_extra=documented(NewLineComment))
def comment_source(
    request: Request, source_id: UUID, asked: Annotated[NewLineComment, parameters(NewLineComment)]
) -> Response:
    """With `path` and `line`, of that line."""
    words = Said(asked.text, asked.path, asked.line)
    return said(request, CommentTarget.SOURCE, of_source(source_id), words)


@api.get("/builds/{build_id:uuid}/comments/")
def list_of_build(request: Request, build_id: UUID) -> Response:
    """Newest first."""
    return listed(request, CommentTarget.BUILD, of_build(build_id))


@api.post("/builds/{build_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_build(request: Request, build_id: UUID, asked: NewWords) -> Response:
    return said(request, CommentTarget.BUILD, of_build(build_id), Said(asked.text))


@api.get("/jobs/{job_id:uuid}/comments/")
def list_of_job(request: Request, job_id: UUID) -> Response:
    """Newest first."""
    return listed(request, CommentTarget.JOB, of_job(job_id))


@api.post("/jobs/{job_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_job(request: Request, job_id: UUID, asked: NewWords) -> Response:
    return said(request, CommentTarget.JOB, of_job(job_id), Said(asked.text))


@api.get("/tests/{run_id:uuid}/comments/")
def list_of_test(request: Request, run_id: UUID) -> Response:
    """By one of its runs; they are of the test, and stand with every run of it. Newest first."""
    return listed(request, CommentTarget.TEST, of_test(run_id))


@api.post("/tests/{run_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment_test(request: Request, run_id: UUID, asked: NewWords) -> Response:
    return said(request, CommentTarget.TEST, of_test(run_id), Said(asked.text))


@api.delete("/comments/{comment_id:uuid}/")
def take_back(request: Request, comment_id: UUID) -> Response:
    """By whoever wrote it, or by an administrator."""
    with call.begin(request, Scope.WRITE) as this:
        remarks.take_back(this, comments.comment(this.session, comment_id))
        return this.answer_nothing()


def listed(request: Request, target: CommentTarget, find: Find) -> Response:
    with call.begin(request, Scope.READ) as this:
        found = comments.of(this.session, target, [find(this.session)])
        return this.answer([change_shapes.comment(each) for each in reversed(found)])


def said(request: Request, target: CommentTarget, find: Find, words: Said) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        return this.answer(change_shapes.comment(remarks.say(this, target, find(this.session), words)))


def of_change(change_id: UUID) -> Find:
    return lambda session: change_queries.change(session, change_id).id


def of_source(source_id: UUID) -> Find:
    return lambda session: change_queries.source(session, source_id).id


def of_build(build_id: UUID) -> Find:
    return lambda session: builds.build(session, build_id).id


def of_job(job_id: UUID) -> Find:
    return lambda session: builds.job(session, job_id).id


def of_test(run_id: UUID) -> Find:
    return lambda session: suite.test_of_run(session, run_id).outside_id
