"""Which repositories are to be looked at now."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.task import NOW
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend, RepositoryStatus

# More wait for the next time; workers have other things to do as well.
AT_ONCE_MAX = 100
LOOKED_AT = (RepositoryStatus.ACTIVE, RepositoryStatus.IMPORTING)


def due(session: Session) -> Sequence[Repository]:
    """The ones that waited longest first; locked, so that nobody else starts them too."""
    is_due = Repository.date_next_sync.is_(None) | (Repository.date_next_sync <= NOW)
    waiting = select(Repository).where(
        is_due, Repository.backend != RepositoryBackend.UNKNOWN, Repository.status.in_(LOOKED_AT)
    )
    waiting = waiting.order_by(Repository.date_next_sync.asc().nulls_first(), Repository.id)
    return session.execute(waiting.limit(AT_ONCE_MAX).with_for_update(skip_locked=True)).scalars().all()
