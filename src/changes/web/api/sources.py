"""/sources/: what builds are of, a commit with or without a patch on top."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people.rules import Scope
from changes.projects import change_queries, comments, versions
from changes.projects.rules import CommentTarget
from changes.web import call, change_shapes, paging, remarks, streams
from changes.web.api.builds import summaries
from changes.web.api.changes import NewComment
from changes.web.params import documented, documented_query, parameters

api = APIRouter(prefix="/sources", tags=["changes"])


@api.get("/{source_id:uuid}/")
def show_source(request: Request, source_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(change_shapes.version(change_queries.source(this.session, source_id)))


@api.get("/{source_id:uuid}/diff/")
def show_diff(request: Request, source_id: UUID) -> Response:
    """As plain text: the patch as it was handed in, or what the commit brought."""
    with call.begin(request, Scope.READ) as this:
        diff = versions.bytes_of(this.session, change_queries.source(this.session, source_id))
        return Response(diff, media_type="text/plain; charset=utf-8", headers=streams.FOREIGN)


@api.get("/{source_id:uuid}/builds/", openapi_extra=documented_query(paged=True, by_id=True))
def list_builds(request: Request, source_id: UUID) -> Response:
    """Newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        source = change_queries.source(this.session, source_id)
        part = builds.builds(this.session, page, BuildFilter(source=source))
        headers = paging.link_header(request, page, part)
        return this.answer(summaries(this, list(part.rows)), headers=headers)


@api.get("/{source_id:uuid}/comments/")
def list_comments(request: Request, source_id: UUID) -> Response:
    """Those on it and on its lines, newest first."""
    with call.begin(request, Scope.READ) as this:
        change_queries.source(this.session, source_id)
        said = comments.of(this.session, CommentTarget.SOURCE, [source_id])
        return this.answer([change_shapes.comment(each) for each in reversed(said)])


@api.post("/{source_id:uuid}/comments/", openapi_extra=documented(NewComment))
def comment(
    request: Request, source_id: UUID, asked: Annotated[NewComment, parameters(NewComment)]
) -> Response:
    """With `path` and `line`, of that line."""
    with call.begin(request, Scope.WRITE) as this:
        source = change_queries.source(this.session, source_id)
        said = comments.Said(asked.text, asked.path, asked.line)
        made = remarks.say(this, CommentTarget.SOURCE, source.id, said)
        return this.answer(change_shapes.comment(made))
