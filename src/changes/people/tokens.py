"""Keys for programs: made, recognised, revoked."""

import functools
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, bindparam, or_, select, update
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Invalid, NotFound
from changes.people import secrets
from changes.people.models import Token, User
from changes.people.rules import Scope

# Writing "last used" at every request would turn each read into a write.
LAST_USED_EXACT_TO = timedelta(minutes=1)
NAME_MAX = 128


@dataclass(frozen=True)
class NewToken:
    id: UUID
    secret: str


def create(session: Session, name: str, scope: Scope, *, user: User | None = None) -> NewToken:
    """The secret is in the answer and nowhere else."""
    secret = secrets.make()
    name = checked_name(name)
    token = Token(
        id=ids.new(), name=name, digest=secrets.digest(secret), scope=scope, user_id=user.id if user else None
    )
    session.add(token)
    session.flush()
    return NewToken(token.id, secret)


def checked_name(name: str) -> str:
    if not 0 < len(name.strip()) <= NAME_MAX:
        raise Invalid(f"Say what it is for, in at most {NAME_MAX} characters.", ["name"])
    return name.strip()


def recognise(session: Session, secret: str) -> Token | None:
    """None also for the token of somebody whose account is disabled."""
    token = session.execute(by_digest(), {"digest": secrets.digest(secret)}).scalar_one_or_none()
    if token is None or (token.user is not None and token.user.date_disabled is not None):
        return None
    note_use(session, token)
    return token


@functools.cache
def by_digest() -> Select[Token]:
    """Made once, as it is asked at every request."""
    return select(Token).where(Token.digest == bindparam("digest"), Token.date_revoked.is_(None))


def note_use(session: Session, token: Token) -> None:
    now = clock.now()
    stale = or_(Token.date_last_used.is_(None), Token.date_last_used < now - LAST_USED_EXACT_TO)
    if token.date_last_used is None or token.date_last_used < now - LAST_USED_EXACT_TO:
        session.execute(update(Token).where(Token.id == token.id, stale).values(date_last_used=now))


def revoke(session: Session, token_id: UUID) -> None:
    token = find(session, token_id)
    token.date_revoked = token.date_revoked or clock.now()


def find(session: Session, token_id: UUID, *, owner_id: UUID | None = None) -> Token:
    """With `owner_id`, those of others are not there."""
    token = session.get(Token, token_id)
    if token is None or (owner_id is not None and token.user_id != owner_id):
        raise NotFound("There is no such token.")
    return token
