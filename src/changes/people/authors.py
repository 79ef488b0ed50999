"""Reads of authors: those named in commits, whether or not they can sign in, with all their addresses."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Part, part
from changes.people.models import Author, AuthorAddress


def author(session: Session, author_id: UUID) -> Author:
    found = session.get(Author, author_id)
    if found is None:
        raise NotFound("There is no such author.")
    return found


def like(session: Session, text: str, *, limit: int) -> Sequence[Author]:
    places = (Author.name, Author.email)
    found = select(Author).where(or_(*(each.icontains(text, autoescape=True) for each in places)))
    return session.execute(found.order_by(Author.name, Author.id).limit(limit)).scalars().all()


def listed(session: Session, page: Page, *, query: str = "") -> Part[Author]:
    """By name, without those whose addresses were joined to somebody else's."""
    joined = select(AuthorAddress.email).where(
        AuthorAddress.email == func.lower(Author.email), AuthorAddress.author_id != Author.id
    )
    mine = select(Author).where(~joined.exists())
    if query.strip():
        places = (Author.name, Author.email)
        mine = mine.where(or_(*(each.icontains(query.strip(), autoescape=True) for each in places)))
    return part(session, mine.order_by(func.lower(Author.name), Author.id), page)


def named(session: Session, text: str) -> Sequence[Author]:
    """Everybody whom an id or an e-mail address means; also by `user+anything@domain`, as mail is sent."""
    if "@" in text:
        return (
            session.execute(select(Author).where(Author.id.in_(of_email(text, with_tags=True))))
            .scalars()
            .all()
        )
    try:
        author_id = ids.parse(text)
    except Invalid:
        return []
    found = session.get(Author, author_id)
    return [] if found is None else everybody(session, found)


def everybody(session: Session, author: Author) -> Sequence[Author]:
    """The author, and those whose addresses were joined to it: they wrote before that was known."""
    joined = select(AuthorAddress.email).where(AuthorAddress.author_id == author.id)
    others = select(Author).where(func.lower(Author.email).in_(joined), Author.id != author.id)
    return [author, *session.execute(others.order_by(Author.email)).scalars()]


def joined_with(session: Session, author: Author) -> tuple[UUID, list[AuthorAddress]]:
    """Whom the address of this one was joined to, or itself; and which addresses were joined to it."""
    mine = or_(AuthorAddress.author_id == author.id, AuthorAddress.email == author.email.lower())
    found = session.execute(select(AuthorAddress).where(mine).order_by(AuthorAddress.email)).scalars().all()
    main = next((each.author_id for each in found if each.email == author.email.lower()), author.id)
    return main, [each for each in found if each.author_id == author.id]


def joined_addresses(session: Session, author: Author) -> Sequence[AuthorAddress]:
    mine = select(AuthorAddress).where(AuthorAddress.author_id == author.id)
    return session.execute(mine.order_by(AuthorAddress.email)).scalars().all()


def of_email(email: str, *, with_tags: bool = False) -> Select[UUID]:
    """The ids of all that somebody with this address wrote as."""
    owned = select(AuthorAddress.author_id).where(is_called(AuthorAddress.email, email, with_tags=with_tags))
    main = or_(is_called(func.lower(Author.email), email, with_tags=with_tags), Author.id.in_(owned))
    mains = select(Author.id).where(main)
    joined = select(AuthorAddress.email).where(AuthorAddress.author_id.in_(mains))
    return select(Author.id).where(or_(main, func.lower(Author.email).in_(joined)))


def is_called(place: Any, email: str, *, with_tags: bool) -> ColumnElement[bool]:
    name, _, domain = email.strip().lower().partition("@")
    exactly: ColumnElement[bool] = place == f"{name}@{domain}"
    if not with_tags:
        return exactly
    begins = place.startswith(f"{name}+", autoescape=True)
    return or_(exactly, begins & place.endswith(f"@{domain}", autoescape=True))
