"""One version: what it does, line by line, and what was said of it and of its lines."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid, Unavailable
from changes.builds import of_changes
from changes.people.rules import Scope
from changes.projects import change_queries, comments, versions
from changes.projects.models import Change, Source
from changes.projects.rules import CommentTarget
from changes.web import call, paging, remarks
from changes.web.call import Call
from changes.web.pages import diffs, drawing, forms
from changes.web.pages import said as said_here
from changes.web.pages.changes import SaidHere
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/sources/{source_id:uuid}/"
LINE = re.compile("[1-9][0-9]{0,8}")


class SourceAsked(Parameters):
    # `path:line`, of which somebody is about to say something.
    comment: str = ""


@pages.get(HERE)
def show_source(
    request: Request, source_id: UUID, asked: Annotated[SourceAsked, parameters(SourceAsked)]
) -> Response:
    part = paging.whole_number(request, "part", 1)
    with call.reading(request) as this:
        values = about(this, source_id, part, place_in(asked.comment))
        return drawing.page(request, "source.html", {**values, "text": "", **forms.RIGHT})


def place_in(text: str) -> diffs.Place | None:
    path, _, line = text.rpartition(":")
    return (path, int(line)) if path and LINE.fullmatch(line) else None


def about(this: Call, source_id: UUID, part: int = 1, place: diffs.Place | None = None) -> dict[str, Any]:
    source = change_queries.source(this.session, source_id)
    said = comments.of(this.session, CommentTarget.SOURCE, [source_id])
    files, unreadable = files_of(this, source)
    return {
        "source": source,
        "change": this.session.get(Change, source.change_id) if source.change_id else None,
        "builds": of_changes.of_sources(this.session, [source_id])[source_id],
        "drawn": diffs.drawn(files, diffs.Asked(part, said, place)),
        "unreadable": unreadable,
        "place": place,
        **said_here.shown(this, said),
        "fields": ("text", "line"),
    }


def files_of(this: Call, source: Source) -> tuple[list[diffs.FileDiff], str]:
    """Its builds and what was said of it are shown also where nobody can read it now."""
    try:
        return versions.diff_of(this.session, source), ""
    except Unavailable as error:
        return [], error.message


@pages.post(f"{HERE}comments/")
def comment(request: Request, source_id: UUID, asked: Annotated[SaidHere, parameters(SaidHere)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            source = change_queries.source(this.session, source_id)
            made = remarks.say(this, CommentTarget.SOURCE, source.id, said_in(asked))
            return this.go(f"/sources/{source_id.hex}/#comment-{made.id.hex}", "Said.")
    except Invalid as error:
        with call.reading(request) as this:
            values = about(this, source_id, place=place_in(f"{asked.path.strip()}:{asked.line.strip()}"))
            return forms.again(request, "source.html", {**values, "text": asked.text}, error)


def said_in(asked: SaidHere) -> comments.Said:
    line = asked.line.strip()
    if line and not LINE.fullmatch(line):
        raise Invalid("A line is a whole number.", ["line"])
    return comments.Said(asked.text, asked.path.strip(), int(line) if line else None)
