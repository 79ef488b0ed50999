"""Reads of authors: those named in commits, whether or not they can sign in."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.people.models import Author


def author(session: Session, author_id: UUID) -> Author:
    found = session.get(Author, author_id)
    if found is None:
        raise NotFound("There is no such author.")
    return found


def like(session: Session, text: str, *, limit: int) -> Sequence[Author]:
    places = (Author.name, Author.email)
    found = select(Author).where(or_(*(each.icontains(text, autoescape=True) for each in places)))
    return session.execute(found.order_by(Author.name, Author.id).limit(limit)).scalars().all()
