"""The builds of one author, in all projects."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people import authors
from changes.web import call, paging
from changes.web.pages import drawing
from changes.web.pages.projects import rows

pages = APIRouter()


@pages.get("/authors/{author_id:uuid}/")
def show_author(request: Request, author_id: UUID) -> Response:
    page = paging.page_of(request, by_id=True)
    with call.reading(request) as this:
        author = authors.author(this.session, author_id)
        part = builds.builds(this.session, page, BuildFilter(author=author))
        newer, older = paging.newer_and_older(request, page, part)
        values = {
            "author": author,
            **rows(this.session, part.rows),
            "newer": newer,
            "older": older,
        }
        return drawing.page(request, "author.html", values)
