"""One field for everything: projects by name, builds by name or commit."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.paging import Page
from changes.builds import queries as builds
from changes.projects import queries as projects
from changes.web import call
from changes.web.pages import drawing
from changes.web.params import Parameters, parameters

pages = APIRouter()
SHOWN = Page(size=25)


class Search(Parameters):
    q: str = ""


@pages.get("/search/")
def search(request: Request, asked: Annotated[Search, parameters(Search)]) -> Response:
    text = asked.q.strip()
    with call.reading(request) as this:
        values: dict[str, Any] = {"text": text, "projects": [], "builds": []}
        if text:
            values["projects"] = projects.projects(this.session, SHOWN, query=text).rows
            values["builds"] = builds.builds(this.session, SHOWN, builds.BuildFilter(text=text)).rows
        return drawing.page(request, "search.html", values)
