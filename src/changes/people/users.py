"""Those who may sign in, the one-time links that let them, and their sessions."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Conflict, Forbidden, Invalid, NotFound
from changes.people import secrets
from changes.people.models import Author, SignInLink, User, WebSession

LINK_VALID = timedelta(hours=1)
# Counted from its last use.
SESSION_VALID = timedelta(days=28)
# Writing "last used" at every request would turn each read into a write.
SESSION_USED_EXACT_TO = timedelta(minutes=10)
USER_AGENT_MAX = 300
EMAIL_MAX = 254


@dataclass(frozen=True)
class Browser:
    """From where somebody signs in."""

    user_agent: str = ""
    address: str = ""


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
    name, _, domain = email.partition("@")
    is_odd = len(email) > EMAIL_MAX or any(c.isspace() or not c.isprintable() for c in email)
    if is_odd or not name or not domain or "@" in domain:
        raise Invalid(f"{email!r} is not an e-mail address.", ["email"])
    return email


def at_first_sight(session: Session, email: str) -> User:
    """For addresses that somebody we trust vouches for: found, or made when new."""
    email = checked_email(email)
    row = insert(User).values(id=ids.new(), email=email, date_created=clock.now())
    mine = select(User).where(User.email == email)
    user = session.execute(mine).scalar_one_or_none()
    if user is None:
        session.execute(row.on_conflict_do_nothing(index_elements=[User.email]))
        user = session.execute(mine).scalar_one()
    refuse_disabled(user)
    return user


def refuse_disabled(user: User) -> None:
    if user.date_disabled is not None:
        raise Forbidden(f"The account of {user.email} is disabled. An administrator can enable it again.")


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


def use_link(session: Session, secret: str, browser: Browser = Browser()) -> str:
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
    refuse_disabled(session.get_one(User, user_id))
    return open_session(session, user_id, browser)


def open_session(session: Session, user_id: UUID, browser: Browser = Browser()) -> str:
    secret, now = secrets.make(), clock.now()
    session.add(
        WebSession(
            id=ids.new(),
            user_id=user_id,
            digest=secrets.digest(secret),
            date_created=now,
            date_last_used=now,
            date_expires=now + SESSION_VALID,
            user_agent=browser.user_agent[:USER_AGENT_MAX],
            address=browser.address,
        )
    )
    session.flush()
    return secret


def signed_in(session: Session, secret: str) -> User | None:
    both = select(User, WebSession).join(WebSession, WebSession.user_id == User.id)
    live = WebSession.date_expires > clock.now()
    mine = both.where(WebSession.digest == secrets.digest(secret), live, User.date_disabled.is_(None))
    found = session.execute(mine).one_or_none()
    if found is None:
        return None
    user, web_session = found
    note_use(web_session)
    return user


def note_use(used: WebSession) -> None:
    """What is used lives on."""
    now = clock.now()
    if used.date_last_used is None or used.date_last_used < now - SESSION_USED_EXACT_TO:
        used.date_last_used, used.date_expires = now, now + SESSION_VALID


def close_session(session: Session, secret: str) -> None:
    session.execute(delete(WebSession).where(WebSession.digest == secrets.digest(secret)))
