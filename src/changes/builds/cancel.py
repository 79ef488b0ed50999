"""Stopping a build: waiting steps are dropped at once, running ones are told through their agents."""

from sqlalchemy.orm import Session

from changes.builds import settle
from changes.builds.models import Build


def cancel_build(session: Session, build: Build) -> bool:
    """False when there was nothing left to cancel."""
    locked = settle.lock_build(session, build.id)
    if locked.is_finished:
        return False
    settle.abort_build(session, locked)
    return True
