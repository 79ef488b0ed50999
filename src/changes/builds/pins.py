"""Builds that somebody wants kept, with all that they found, for as long as they are pinned."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Conflict
from changes.builds import removal
from changes.builds.models import Build

# Held by a pin until it is committed, and by retention from its last look at the pins until what goes is
# gone: so no build loses its runs at the moment in which it is pinned.
LOCK_NUMBER = 0x70696E73  # "pins"


def pin(session: Session, build: Build, *, by: str) -> bool:
    """False where it was pinned already; whoever was first is kept."""
    if build.date_pinned is not None:
        return False
    session.execute(text("select pg_advisory_xact_lock_shared(:number)"), {"number": LOCK_NUMBER})
    if removal.has_begun(session, build.id):
        raise Conflict("This build is being removed, as it was kept long enough: a part of it is gone.")
    build.date_pinned, build.pinned_by = clock.now(), by
    session.flush()
    return True


def unpin(session: Session, build: Build) -> bool:
    if build.date_pinned is None:
        return False
    build.date_pinned, build.pinned_by = None, ""
    session.flush()
    return True


def hold_still(session: Session) -> None:
    """Until the end of this transaction nothing more is pinned."""
    session.execute(text("select pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
