"""Keys for programs: made, recognised, revoked."""

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, bindparam, or_, select, update
from sqlalchemy.orm import Session

from changes.base import clock, ids, questions
from changes.base.errors import Invalid, NotFound
from changes.people import secrets
from changes.people.models import Token, User
from changes.people.rules import Scope

# Writing "last used" at every request would turn each read into a write.
LAST_USED_EXACT_TO = timedelta(minutes=1)
NAME_MAX = 128
# Asked at every request of a program, hence in plain words.
KNOWN = """
select token.id, token.name, token.scope, token.date_last_used,
    owner.id, owner.email, owner.is_admin, owner.project_permissions
from token left join "user" owner on owner.id = token.user_id
where token.digest = %(digest)s and token.date_revoked is null and owner.date_disabled is null
"""


@dataclass(frozen=True)
class NewToken:
    id: UUID
    secret: str


@dataclass(frozen=True)
class Owner:
    id: UUID
    email: str
    is_admin: bool
    project_permissions: tuple[str, ...]


@dataclass(frozen=True)
class KnownToken:
    id: UUID
    name: str
    scope: Scope
    owner: Owner | None


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
    note_use(session, token.id, token.date_last_used)
    return token


def known(session: Session, secret: str) -> KnownToken | None:
    """The same for whoever needs no more than to know who asks."""
    session.flush()
    found = questions.ask(session, KNOWN, {"digest": secrets.digest(secret)})
    if not found:
        return None
    token_id, name, scope, last_used, owner_id, email, is_admin, permissions = found[0]
    note_use(session, token_id, last_used)
    owner = None if owner_id is None else Owner(owner_id, email, is_admin, tuple(permissions))
    return KnownToken(token_id, name, Scope(scope), owner)


@functools.cache
def by_digest() -> Select[Token]:
    """Made once, as it is asked at every request."""
    return select(Token).where(Token.digest == bindparam("digest"), Token.date_revoked.is_(None))


def note_use(session: Session, token_id: UUID, last_used: datetime | None) -> None:
    now = clock.now()
    if last_used is None or last_used < now - LAST_USED_EXACT_TO:
        stale = or_(Token.date_last_used.is_(None), Token.date_last_used < now - LAST_USED_EXACT_TO)
        session.execute(update(Token).where(Token.id == token_id, stale).values(date_last_used=now))


def revoke(session: Session, token_id: UUID) -> None:
    token = find(session, token_id)
    token.date_revoked = token.date_revoked or clock.now()


def find(session: Session, token_id: UUID, *, owner_id: UUID | None = None) -> Token:
    """With `owner_id`, those of others are not there."""
    token = session.get(Token, token_id)
    if token is None or (owner_id is not None and token.user_id != owner_id):
        raise NotFound("There is no such token.")
    return token
