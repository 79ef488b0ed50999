"""Those who may sign in, and the one-time links that let them."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Conflict, Forbidden, Invalid, NotFound
from changes.people import secrets
from changes.people.models import Author, SignInLink, User, WebSession

LINK_VALID = timedelta(hours=1)
SESSION_VALID = timedelta(days=28)
EMAIL_MAX = 254


def create(session: Session, email: str, *, is_admin: bool = False) -> User:
    email = checked_email(email)
    if session.execute(select(User.id).where(User.email == email)).first() is not None:
        raise Conflict(f"There is a user {email} already.", ["email"])
    user = User(id=ids.new(), email=email, is_admin=is_admin)
    session.add(user)
    session.flush()
    return user


def checked_email(email: str) -> str:
    email = email.strip().lower()
    if "@" not in email or len(email) > EMAIL_MAX or any(c.isspace() for c in email):
        raise Invalid(f"{email!r} is not an e-mail address.", ["email"])
    return email


def by_email(session: Session, email: str) -> User:
    user = session.execute(select(User).where(User.email == email.strip().lower())).scalar_one_or_none()
    if user is None:
        raise NotFound(f"There is no user {email}.")
    return user


def author(session: Session, name: str, email: str) -> Author:
    """Found by e-mail, made when new."""
    row = insert(Author).values(id=ids.new(), name=name, email=email, date_created=clock.now())
    session.execute(row.on_conflict_do_nothing(index_elements=[Author.email]))
    return session.execute(select(Author).where(Author.email == email)).scalar_one()


# --- signing in --------------------------------------------------------------------------


def make_link(session: Session, user: User) -> str:
    secret = secrets.make()
    expires = clock.now() + LINK_VALID
    session.add(
        SignInLink(id=ids.new(), user_id=user.id, digest=secrets.digest(secret), date_expires=expires)
    )
    return secret


def use_link(session: Session, secret: str) -> str:
    """Spends the link and opens a session, whose secret goes into the cookie."""
    now = clock.now()
    mine = SignInLink.digest == secrets.digest(secret)
    fresh = (SignInLink.date_used.is_(None)) & (SignInLink.date_expires > now)
    spent = update(SignInLink).where(mine, fresh).values(date_used=now).returning(SignInLink.user_id)
    user_id = session.execute(spent).scalar_one_or_none()
    if user_id is None:
        raise Forbidden(
            "This sign-in link was used already or is too old. `changes user link EMAIL` makes a new one."
        )
    return open_session(session, user_id)


def open_session(session: Session, user_id: UUID) -> str:
    secret = secrets.make()
    session.add(
        WebSession(
            id=ids.new(),
            user_id=user_id,
            digest=secrets.digest(secret),
            date_expires=clock.now() + SESSION_VALID,
        )
    )
    session.flush()
    return secret


def signed_in(session: Session, secret: str) -> User | None:
    mine = select(User).join(WebSession, WebSession.user_id == User.id)
    live = mine.where(WebSession.digest == secrets.digest(secret), WebSession.date_expires > clock.now())
    return session.execute(live).scalar_one_or_none()


def close_session(session: Session, secret: str) -> None:
    found = session.execute(select(WebSession).where(WebSession.digest == secrets.digest(secret)))
    for mine in found.scalars():
        session.delete(mine)
