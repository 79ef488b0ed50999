"""Limits with a name, shared by plans of any project that name it."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import bell
from changes.base.errors import Invalid, NotFound
from changes.builds.queue_models import ConcurrencyGroup

NAME_MAX = 128
LIMIT_MAX = 10_000


def set_limit(session: Session, name: str, limit: int) -> ConcurrencyGroup:
    """At once: steps that wait read it when they are looked at. Nothing that runs is stopped."""
    name = name.strip()
    if not name or len(name) > NAME_MAX:
        raise Invalid(f"A group needs a name of at most {NAME_MAX} characters.", ["name"])
    if not 0 <= limit <= LIMIT_MAX:
        raise Invalid(f"limit must be a number from 0 to {LIMIT_MAX}; 0 pauses the group.", ["limit"])
    mine = select(ConcurrencyGroup).where(ConcurrencyGroup.name == name)
    group = session.execute(mine).scalar_one_or_none() or ConcurrencyGroup(name=name)
    group.limit = limit
    session.add(group)
    session.flush()
    bell.tell(session, "steps")
    return group


def remove(session: Session, name: str) -> None:
    """Its steps have no common limit any more."""
    removed = delete(ConcurrencyGroup).where(ConcurrencyGroup.name == name).returning(ConcurrencyGroup.id)
    if session.execute(removed).first() is None:
        raise NotFound(f"There is no group {name!r} with a limit.")
    bell.tell(session, "steps")
