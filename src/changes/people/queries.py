"""Reads of users and tokens."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, newest_first, part
from changes.people.models import Token, User


def user(session: Session, user_id: UUID) -> User:
    found = session.get(User, user_id)
    if found is None:
        raise NotFound("There is no such user.")
    return found


def users(session: Session, page: Page) -> Part[User]:
    return part(session, select(User).order_by(User.email), page)


def tokens(session: Session, page: Page) -> Part[Token]:
    return newest_first(session, select(Token), Token.id, page)
