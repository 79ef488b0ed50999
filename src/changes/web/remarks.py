"""What people say of changes, versions, builds, jobs and tests: where it is shown, and who hears of it."""

from uuid import UUID

from changes.base.db import Session
from changes.base.errors import NotFound
from changes.builds import queries as builds
from changes.builds import telling
from changes.people.rules import Scope
from changes.projects import change_queries, changes, comments
from changes.projects.comments import Said
from changes.projects.models import Change, Comment
from changes.projects.rules import CommentTarget
from changes.results import history
from changes.web.call import Call


def say(this: Call, target: CommentTarget, target_id: UUID, said: Said) -> Comment:
    """The target is there: whoever calls has found it."""
    made = comments.say(this.session, this.caller.user_id, target, target_id, said)
    tell(this.session, made)
    return made


def take_back(this: Call, comment: Comment) -> None:
    is_admin = this.caller.scope == Scope.ADMIN
    comments.take_back(this.session, comment, this.caller.user_id, is_admin=is_admin)
    tell(this.session, comment)


def tell(session: Session, comment: Comment) -> None:
    """Of a test nobody is told: its pages are of runs that are over."""
    if comment.target == CommentTarget.CHANGE:
        changes.touch(session, change_queries.change(session, comment.target_id))
    elif comment.target == CommentTarget.SOURCE:
        source = change_queries.source(session, comment.target_id)
        if source.change_id is not None:
            changes.touch(session, session.get_one(Change, source.change_id))
    elif comment.target == CommentTarget.BUILD:
        telling.tell(session, builds.build(session, comment.target_id))
    elif comment.target == CommentTarget.JOB:
        telling.tell(session, builds.job(session, comment.target_id).build)


def address_of(session: Session, comment: Comment) -> str:
    """The page on which it stands; the first one, where that is gone."""
    try:
        return found_at(session, comment)
    except NotFound:
        return "/"


def found_at(session: Session, comment: Comment) -> str:
    if comment.target == CommentTarget.CHANGE:
        return f"/changes/{comment.target_id.hex}/"
    if comment.target == CommentTarget.SOURCE:
        return f"/sources/{comment.target_id.hex}/"
    if comment.target == CommentTarget.TEST:
        test, project = history.test_by_id(session, comment.target_id)
        return f"/projects/{project.slug}/tests/{test.name_sha}/"
    if comment.target == CommentTarget.JOB:
        build = builds.job(session, comment.target_id).build
    else:
        build = builds.build(session, comment.target_id)
    return f"/projects/{build.project.slug}/builds/{build.number}/"
