"""What people say of a change, a version, a line of it, a build, a job or a test: plain text, escaped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Forbidden, Invalid
from changes.projects.models import Comment
from changes.projects.rules import CommentTarget

TEXT_MAX_CHARS = 20_000
PATH_MAX_CHARS = 1000
SHOWN_MAX = 500


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
    mine = select(Comment).where(Comment.target == target, Comment.target_id.in_(target_ids))
    newest = session.execute(mine.order_by(Comment.id.desc()).limit(SHOWN_MAX)).unique().scalars().all()
    return newest[::-1]
