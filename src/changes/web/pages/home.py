"""The first page: the newest builds. The face of the product comes in a later version."""

from fastapi import APIRouter, Request, Response

from changes.base.paging import Page
from changes.builds import queries
from changes.web import call
from changes.web.pages import drawing

pages = APIRouter()


@pages.get("/")
def home(request: Request) -> Response:
    with call.reading(request) as this:
        part = queries.builds(this.session, Page(size=50))
        failures = queries.failures_of(this.session, [build.id for build in part.rows])
        values = {"builds": part.rows, "failures": failures}
        return drawing.page(request, "home.html", values)
