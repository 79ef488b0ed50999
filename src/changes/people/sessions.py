"""The browsers somebody is signed in with: looked at, and ended from afar."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import NotFound
from changes.people import secrets
from changes.people.models import User, WebSession

SHOWN_MAX = 50


def of_user(session: Session, user: User) -> Sequence[WebSession]:
    """Those that are live, the one used last first."""
    live = select(WebSession).where(WebSession.user_id == user.id, WebSession.date_expires > clock.now())
    newest = live.order_by(WebSession.date_last_used.desc().nulls_last(), WebSession.id.desc())
    return session.execute(newest.limit(SHOWN_MAX)).scalars().all()


def end(session: Session, user: User, session_id: UUID) -> None:
    mine = delete(WebSession).where(WebSession.id == session_id, WebSession.user_id == user.id)
    if session.execute(mine.returning(WebSession.id)).first() is None:
        raise NotFound("There is no such session; it may have ended by itself.")


def end_others(session: Session, user: User, kept: str) -> int:
    """All but the one with this secret; how many that were."""
    others = delete(WebSession).where(
        WebSession.user_id == user.id, WebSession.digest != secrets.digest(kept)
    )
    return len(session.execute(others.returning(WebSession.id)).all())


def end_all(session: Session, user: User) -> None:
    session.execute(delete(WebSession).where(WebSession.user_id == user.id))


def is_of(web_session: WebSession, secret: str) -> bool:
    return web_session.digest == secrets.digest(secret)
