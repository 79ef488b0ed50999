"""What was only for a while goes away by itself."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from changes.base import clock
from changes.people import limits
from changes.people.models import ProviderVisit, SignInLink, WebSession


def clean(session: Session) -> int:
    """Links, sessions and visits that are over, and tries nobody counts any more."""
    now, count = clock.now(), limits.clean(session)
    for kind in (SignInLink, WebSession, ProviderVisit):
        over = delete(kind).where(kind.date_expires < now).returning(kind.digest)
        count += len(session.execute(over).all())
    return count
