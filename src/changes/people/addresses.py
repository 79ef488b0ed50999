"""Further addresses under which somebody writes code: joined to one author, and taken off again.

Commits keep the author they were stored with, so taking an address off loses nothing.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.base.errors import Conflict, Forbidden, NotFound
from changes.people import authors, users
from changes.people.models import Author, AuthorAddress, User

ADDRESSES_MAX = 50


def join(session: Session, author: Author, email: str, *, by: User | None, is_admin: bool) -> AuthorAddress:
    """By an administrator; or by whoever is this author, as long as nobody else signs in by the address."""
    email = users.checked_email(email)
    require_right(author, by, is_admin=is_admin)
    if not is_admin and is_of_another_user(session, email, by):
        raise Forbidden("Somebody else signs in with this address; only an administrator can join it.")
    if email == author.email.lower():
        raise Conflict("This is the address itself.", ["email"])
    if session.get(AuthorAddress, email) is not None:
        raise Conflict(f"{email} is joined to an author already.", ["email"])
    if session.get(AuthorAddress, author.email.lower()) is not None:
        raise Conflict("This author is joined to another one; join the address there.", ["email"])
    if len(authors.joined_addresses(session, author)) >= ADDRESSES_MAX:
        raise Conflict(f"An author has at most {ADDRESSES_MAX} further addresses.", ["email"])
    if has_addresses(session, email):
        raise Conflict(f"Other addresses are joined to {email}; take those off first.", ["email"])
    made = AuthorAddress(email=email, author_id=author.id)
    session.add(made)
    session.flush()
    return made


def take_off(session: Session, author: Author, email: str, *, by: User | None, is_admin: bool) -> None:
    require_right(author, by, is_admin=is_admin)
    found = session.get(AuthorAddress, email.strip().lower())
    if found is None or found.author_id != author.id:
        raise NotFound("This address is not joined to this author.")
    session.delete(found)
    session.flush()


def require_right(author: Author, by: User | None, *, is_admin: bool) -> None:
    if not may_change(author, by, is_admin=is_admin):
        raise Forbidden(
            "Only an administrator, or whoever signs in with the address of an author, may do this."
        )


def may_change(author: Author, by: User | None, *, is_admin: bool) -> bool:
    return is_admin or (by is not None and by.email.lower() == author.email.lower())


def is_of_another_user(session: Session, email: str, by: User | None) -> bool:
    other = session.execute(select(User.id).where(User.email == email)).scalar_one_or_none()
    return other is not None and (by is None or other != by.id)


def has_addresses(session: Session, email: str) -> bool:
    """One that others are joined to is joined to nobody: a chain would have no first."""
    mine = select(Author.id).join(AuthorAddress, AuthorAddress.author_id == Author.id)
    return session.execute(mine.where(func.lower(Author.email) == email).limit(1)).first() is not None
