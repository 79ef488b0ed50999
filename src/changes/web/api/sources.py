"""/sources/: what builds are of, a commit with or without a patch on top."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people.rules import Scope
from changes.projects import change_queries, versions
from changes.web import call, change_shapes, covered_sources, paging, streams
from changes.web.api.builds import summaries
from changes.web.covered_sources import SourceAsked
from changes.web.params import documented_query, parameters

api = APIRouter(tags=["changes"])
SOURCE = "/sources/{source_id:uuid}/"


@api.get(SOURCE, openapi_extra=documented_query(SourceAsked))
def show_source(
    request: Request, source_id: UUID, asked: Annotated[SourceAsked, parameters(SourceAsked)]
) -> Response:
    with call.begin(request, Scope.READ) as this:
        source = change_queries.source(this.session, source_id)
        return this.answer({**change_shapes.version(source), **covered_sources.told(this, source, asked)})


@api.get(f"{SOURCE}diff/")
def show_diff(request: Request, source_id: UUID) -> Response:
    """As plain text: the patch as it was handed in, or what the commit brought."""
    with call.begin(request, Scope.READ) as this:
        diff = versions.bytes_of(this.session, change_queries.source(this.session, source_id))
        return Response(diff, media_type="text/plain; charset=utf-8", headers=streams.FOREIGN)


@api.get(f"{SOURCE}builds/", openapi_extra=documented_query(paged=True, by_id=True))
def list_builds(request: Request, source_id: UUID) -> Response:
    """Newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        source = change_queries.source(this.session, source_id)
        part = builds.builds(this.session, page, BuildFilter(source=source))
        headers = paging.link_header(request, page, part)
        return this.answer(summaries(this, list(part.rows)), headers=headers)
