"""What people say of a change, a version, a line of it, a build, a job or a test: plain text, escaped."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Forbidden, Invalid, NotFound
from changes.projects.models import Comment
from changes.projects.rules import CommentTarget

TEXT_MAX_CHARS = 20_000
PATH_MAX_CHARS = 1000
SHOWN_MAX = 500
# Of things that stand in another table, also by a question for them.
Ids = Collection[UUID] | Select[UUID]


@dataclass(frozen=True)
class Said:
    """With path and line (of the new side) it is about that line."""

    text: str
    path: str = ""
    line: int | None = None


def say(
    session: Session, user_id: UUID | None, target: CommentTarget, target_id: UUID, said: Said
) -> Comment:
    if user_id is None:
        raise Forbidden("Only somebody who is signed in can comment.")
    text = said.text.strip()
    if not text:
        raise Invalid("Say something.", ["text"])
    if len(text) > TEXT_MAX_CHARS:
        raise Invalid(f"A comment has at most {TEXT_MAX_CHARS} characters.", ["text"])
    if len(said.path) > PATH_MAX_CHARS or (said.line is not None and not said.path):
        raise Invalid("A line is a line of a file.", ["path", "line"])
    comment = Comment(
        id=ids.new(),
        user_id=user_id,
        target=target,
        target_id=target_id,
        path=said.path,
        line=said.line,
        text=text,
    )
    session.add(comment)
    session.flush()
    session.refresh(comment, ["user"])
    return comment


def of(session: Session, target: CommentTarget, target_ids: Collection[UUID]) -> Sequence[Comment]:
    """Oldest first; of very many, the newest."""
    return of_all(session, {target: target_ids})


def of_all(session: Session, targets: Mapping[CommentTarget, Ids]) -> Sequence[Comment]:
    """The same of things of several kinds."""
    mine = [
        (Comment.target == target) & Comment.target_id.in_(ids)
        for target, ids in targets.items()
        if isinstance(ids, Select) or ids
    ]
    if not mine:
        return []
    newest = select(Comment).where(or_(*mine)).order_by(Comment.id.desc()).limit(SHOWN_MAX)
    return session.execute(newest).unique().scalars().all()[::-1]


def comment(session: Session, comment_id: UUID) -> Comment:
    found = session.get(Comment, comment_id)
    if found is None:
        raise NotFound("There is no such comment.")
    return found


def take_back(session: Session, comment: Comment, user_id: UUID | None, *, is_admin: bool) -> None:
    if not may_take_back(comment, user_id, is_admin=is_admin):
        raise Forbidden("Only whoever wrote a comment, or an administrator, can take it back.")
    session.delete(comment)
    session.flush()


def may_take_back(comment: Comment, user_id: UUID | None, *, is_admin: bool) -> bool:
    """What somebody wrote who has left since is nobody's but the administrators'."""
    return is_admin or (user_id is not None and comment.user_id == user_id)
