"""/builds/<id>/targets/: the targets of Bazel that a build ran, took over or left out."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid
from changes.base.paging import Part
from changes.builds import queries, target_queries
from changes.builds.models import BazelTarget
from changes.builds.rules import Result
from changes.builds.target_queries import Message, TargetsAsked, TargetSeen
from changes.people.rules import Scope
from changes.web import call, paging, shapes
from changes.web.params import Flag, Parameters, documented_query, parameters

api = APIRouter(tags=["targets"])


class Asked(Parameters):
    query: Annotated[str, Field(description="a part of the name")] = ""
    result: Annotated[str, Field(description="the name of a result, as `failed`")] = ""
    sort: Literal["duration", "name"] = "duration"
    reverse: Annotated[Flag, Field(description="by time: the quickest first; by name: the last first")] = (
        False
    )

    def wanted(self) -> TargetsAsked:
        if self.result and self.result.upper() not in Result.__members__:
            raise Invalid(f"There is no result {self.result[:40]!r}.", ["result"])
        result = Result[self.result.upper()] if self.result else None
        return TargetsAsked(self.query.strip(), result, self.sort, self.reverse)


@api.get("/builds/{build_id:uuid}/targets/", openapi_extra=documented_query(Asked, paged=True))
def list_of_build(request: Request, build_id: UUID, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    """Of the newest attempts; slowest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        build = queries.build(this.session, build_id)
        part = target_queries.of_build(this.session, build.id, page, asked.wanted())
        shown, headers = paging.shaped(request, page, part, shape)
        return this.answer(shown, headers=headers)


@api.get("/builds/{build_id:uuid}/targets/{target_id:uuid}/messages/")
def list_messages(request: Request, build_id: UUID, target_id: UUID) -> Response:
    """What was said of it: why it was left out or taken over, or which files affect it."""
    with call.begin(request, Scope.READ) as this:
        return this.answer(messages_of(target_queries.target(this.session, build_id, target_id)))


@api.get("/builds/{build_id:uuid}/messages/", openapi_extra=documented_query(paged=True))
def list_messages_of_build(request: Request, build_id: UUID) -> Response:
    """What the commands said that collected its targets, the oldest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        build = queries.build(this.session, build_id)
        said = target_queries.messages(this.session, build.id)[page.offset :]
        part = Part(said[: page.size], has_next=len(said) > page.size, has_previous=page.number > 1)
        shown, headers = paging.shaped(request, page, part, lambda each: shape_of_message(each, build_id))
        return this.answer(shown, headers=headers)


def shape_of_message(each: Message, build_id: UUID) -> dict[str, Any]:
    return {
        "id": each.id.hex,
        "build": {"id": build_id.hex},
        "text": each.text,
        "dateCreated": shapes.when(each.date_created),
    }


def shape(seen: TargetSeen) -> dict[str, Any]:
    each = seen.target
    return {
        "id": each.id.hex,
        "job": {"id": each.job_id.hex},
        "step": {"id": each.step_id.hex} if each.step_id else None,
        "name": each.name,
        "duration": each.duration_ms,
        "status": shapes.enum(seen.status),
        "result": shapes.enum(each.result),
        "resultSource": shapes.enum(each.source),
        "messages": messages_of(each),
        "dateCreated": shapes.when(each.date_created),
    }


def messages_of(each: BazelTarget) -> list[dict[str, Any]]:
    """There is one at most, and it is known by its target."""
    if not each.message:
        return []
    said = {"id": each.id.hex, "target": {"id": each.id.hex}, "text": each.message}
    return [{**said, "dateCreated": shapes.when(each.date_created)}]
