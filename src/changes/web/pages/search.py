"""One field for everything: projects, builds by number, title or commit, authors, commits by their sha."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from changes.base.db import Session
from changes.base.paging import Page
from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people import authors
from changes.projects import commits
from changes.projects import queries as projects
from changes.web import answers, call
from changes.web.pages import drawing, states
from changes.web.params import Parameters, parameters

pages = APIRouter()
SHOWN = 25
TEXT_MAX = 200
PALETTE_SHOWN = 6


class Search(Parameters):
    q: str = ""

    @property
    def text(self) -> str:
        return self.q.strip()[:TEXT_MAX]


@pages.get("/search/")
def search(request: Request, asked: Annotated[Search, parameters(Search)]) -> Response:
    with call.reading(request) as this:
        values = {"text": asked.text, "most": SHOWN, **found(this.session, asked.text, SHOWN)}
        return drawing.page(request, "search.html", values)


def found(session: Session, text: str, limit: int) -> dict[str, Any]:
    if not text:
        return {"projects": [], "builds": [], "authors": [], "commits": []}
    page = Page(size=limit)
    return {
        "projects": projects.projects(session, page, query=text).rows,
        "builds": builds.builds(session, page, BuildFilter(text=text)).rows,
        "authors": authors.like(session, text, limit=limit),
        "commits": commits.like(session, text, limit=limit),
    }


@pages.get("/palette.json")
def palette(request: Request, asked: Annotated[Search, parameters(Search)]) -> Response:
    """What the palette of every page offers beside what stands on the page."""
    with call.reading(request) as this:
        result = found(this.session, asked.text, PALETTE_SHOWN)
        return answers.json({"items": items(result)})


def items(result: dict[str, Any]) -> list[dict[str, str]]:
    offered = [(each.name, "Project", f"/projects/{each.slug}/") for each in result["projects"]]
    for build in result["builds"]:
        word = states.state_of(build.status, build.result).word.lower()
        label = f"{build.project.slug} #{build.number} {build.label}"
        offered.append((label, f"Build, {word}", f"/projects/{build.project.slug}/builds/{build.number}/"))
    offered += [(each.name, "Author", f"/authors/{each.id.hex}/") for each in result["authors"]]
    for revision, project in result["commits"]:
        label = f"{revision.sha[:12]} {revision.subject}"
        offered.append((label, "Commit", f"/projects/{project.slug}/commits/{revision.sha}/"))
    return [{"label": label, "group": group, "href": href} for label, group, href in offered]
