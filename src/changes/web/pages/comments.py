"""Forms to say something of a build, a job or a test, and to take back what was said of anything."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator

from changes.base.errors import Forbidden, NotFound
from changes.builds import queries as builds
from changes.builds.models import Build
from changes.people.rules import Scope
from changes.projects import comments
from changes.projects.comments import Said
from changes.projects.models import Comment
from changes.projects.rules import CommentTarget
from changes.results import suite
from changes.web import call, remarks
from changes.web.call import Call
from changes.web.pages import drawing, said
from changes.web.pages.builds import find
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, blank_is_none, parameters

pages = APIRouter()
BUILD = "/projects/{slug}/builds/{reference}/"
ONE = "/comments/{comment_id:uuid}/delete/"
WORDS_CHARS = 200


class SaidOfBuild(Parameters):
    text: str = ""
    # Empty for the build as a whole.
    job: Annotated[UUID | None, BeforeValidator(blank_is_none)] = None


class SaidOfTest(Parameters):
    text: str = ""


@pages.post(f"{BUILD}comments/")
def comment_build(
    request: Request, slug: str, reference: str, asked: Annotated[SaidOfBuild, parameters(SaidOfBuild)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = find(this.session, slug, reference).build
        made = remarks.say(this, *target_in(this, build, asked.job), Said(asked.text))
        return this.go(f"{remarks.address_of(this.session, made)}#said", "Said.")


def target_in(this: Call, build: Build, job_id: UUID | None) -> tuple[CommentTarget, UUID]:
    if job_id is None:
        return CommentTarget.BUILD, build.id
    if builds.job(this.session, job_id).build_id != build.id:
        raise NotFound("This build has no such job.")
    return CommentTarget.JOB, job_id


@pages.post(f"{BUILD}tests/{{run_id:uuid}}/comments/")
def comment_test(
    request: Request,
    slug: str,
    reference: str,
    run_id: UUID,
    asked: Annotated[SaidOfTest, parameters(SaidOfTest)],
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = find(this.session, slug, reference).build
        _, test, _, _ = suite.run(this.session, build, run_id)
        remarks.say(this, CommentTarget.TEST, test.outside_id, Said(asked.text))
        here = f"/projects/{build.project.slug}/builds/{build.number}/tests/{run_id.hex}/"
        return this.go(f"{here}#said", "Said.")


@pages.get(ONE)
def ask_before_taking_back(request: Request, comment_id: UUID) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        comment = comments.comment(this.session, comment_id)
        if comment.id not in said.shown(this, [comment])["mine"]:
            raise Forbidden("Only whoever wrote a comment, or an administrator, can take it back.")
        return drawing.page(
            request, "confirm.html", question(comment, remarks.address_of(this.session, comment))
        )


def question(comment: Comment, back: str) -> dict[str, Any]:
    words = comment.text if len(comment.text) <= WORDS_CHARS else f"{comment.text[:WORDS_CHARS]}…"
    return {
        "title": "Take this comment back?",
        "words": f"“{words}” goes for good.",
        "crumbs": [("Where it stands", back), ("Take it back", "")],
        "action": f"/comments/{comment.id.hex}/delete/",
        "button": "Take it back",
        "icon": "close",
        "back": back,
    }


@pages.post(ONE)
def take_back(
    request: Request, comment_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        comment = comments.comment(this.session, comment_id)
        back = remarks.address_of(this.session, comment)
        remarks.take_back(this, comment)
        return this.go(back, "Taken back.")
