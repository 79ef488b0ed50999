"""Reads of users and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, newest_first, part
from changes.people.models import Token, User

TOKENS_OF_USER_MAX = 100


class Standing(StrEnum):
    ANY = ""
    ADMIN = "admin"
    OTHER = "other"
    DISABLED = "disabled"


@dataclass(frozen=True)
class UserFilter:
    text: str = ""
    standing: Standing = Standing.ANY
    newest_first: bool = False


def user(session: Session, user_id: UUID) -> User:
    found = session.get(User, user_id)
    if found is None:
        raise NotFound("There is no such user.")
    return found


def users(session: Session, page: Page, wanted: UserFilter = UserFilter()) -> Part[User]:
    """By address, or the one added last first."""
    found = matching_users(wanted)
    if wanted.newest_first:
        return newest_first(session, found, User.id, page)
    if page.position is None:
        return part(session, found.order_by(User.email), page)
    return users_around(session, found, page)


def matching_users(wanted: UserFilter) -> Select[User]:
    found = select(User)
    if wanted.text:
        found = found.where(User.email.contains(wanted.text.strip().lower(), autoescape=True))
    if wanted.standing == Standing.DISABLED:
        found = found.where(User.date_disabled.is_not(None))
    elif wanted.standing != Standing.ANY:
        found = found.where(User.is_admin == (wanted.standing == Standing.ADMIN))
    return found


def users_around(session: Session, found: Select[User], page: Page) -> Part[User]:
    """A position is a row's id, and the order is by address; so the address is looked up."""
    after = page.position.after if page.position else None
    before = page.position.before if page.position else None
    place = select(User.email).where(User.id == (before or after)).scalar_subquery()
    if before is not None:
        rows = session.execute(
            found.where(User.email < place).order_by(User.email.desc()).limit(page.size + 1)
        )
        back = list(rows.scalars())
        return Part(back[: page.size][::-1], has_next=True, has_previous=len(back) > page.size)
    if after is not None:
        found = found.where(User.email > place)
    onward = list(session.execute(found.order_by(User.email).limit(page.size + 1)).scalars())
    return Part(onward[: page.size], has_next=len(onward) > page.size, has_previous=after is not None)


@dataclass(frozen=True)
class TokenFilter:
    """`text` is looked for in names and in the addresses of owners."""

    text: str = ""
    is_live: bool | None = None


def tokens(session: Session, page: Page, wanted: TokenFilter = TokenFilter()) -> Part[Token]:
    found = select(Token)
    if wanted.text:
        owners = select(User.id).where(User.email.contains(wanted.text.lower(), autoescape=True))
        named = Token.name.icontains(wanted.text, autoescape=True)
        found = found.where(or_(named, Token.user_id.in_(owners)))
    if wanted.is_live is not None:
        found = found.where(Token.date_revoked.is_(None) == wanted.is_live)
    return newest_first(session, found, Token.id, page)


def tokens_of(session: Session, user: User) -> Sequence[Token]:
    """Those that open something, newest first."""
    mine = select(Token).where(Token.user_id == user.id, Token.date_revoked.is_(None))
    return session.execute(mine.order_by(Token.id.desc()).limit(TOKENS_OF_USER_MAX)).scalars().all()
