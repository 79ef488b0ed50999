"""One version: what it does, line by line, and what was said of it and of its lines."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid
from changes.builds import of_changes
from changes.people.rules import Scope
from changes.projects import change_queries, comments, versions
from changes.projects.models import Change
from changes.projects.rules import CommentTarget
from changes.web import call
from changes.web.call import Call
from changes.web.pages import diffs, drawing, forms
from changes.web.pages.changes import SaidHere
from changes.web.params import parameters

pages = APIRouter()
HERE = "/sources/{source_id:uuid}/"
LINES_SHOWN = 1500
LINE = re.compile("[1-9][0-9]{0,8}")


@pages.get(HERE)
def show_source(request: Request, source_id: UUID) -> Response:
    with call.reading(request) as this:
        values = {**about(this, source_id), "asked": SaidHere(), **forms.RIGHT}
        return drawing.page(request, "source.html", values)


def about(this: Call, source_id: UUID) -> dict[str, Any]:
    source = change_queries.source(this.session, source_id)
    said = comments.of(this.session, CommentTarget.SOURCE, [source_id])
    files = versions.diff_of(this.session, source)
    shown, left = diffs.first_lines(files, LINES_SHOWN)
    return {
        "source": source,
        "change": this.session.get(Change, source.change_id) if source.change_id else None,
        "builds": of_changes.of_sources(this.session, [source_id])[source_id],
        "files": shown,
        "file_count": len(files),
        "lines_left": left,
        "said": said,
        "may_speak": this.caller.user_id is not None,
        "fields": ("text", "path", "line"),
    }


@pages.post(f"{HERE}comments/")
def comment(request: Request, source_id: UUID, asked: Annotated[SaidHere, parameters(SaidHere)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            source = change_queries.source(this.session, source_id)
            comments.say(this.session, this.caller.user_id, CommentTarget.SOURCE, source.id, said_in(asked))
            return this.go(f"/sources/{source_id.hex}/", "Said.")
    except Invalid as error:
        with call.reading(request) as this:
            return forms.again(request, "source.html", {**about(this, source_id), "asked": asked}, error)


def said_in(asked: SaidHere) -> comments.Said:
    line = asked.line.strip()
    if line and not LINE.fullmatch(line):
        raise Invalid("A line is a whole number.", ["line"])
    return comments.Said(asked.text, asked.path.strip(), int(line) if line else None)
