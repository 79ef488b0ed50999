"""How long what builds leave behind is kept: the words of a project, as moments in time. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

FOR_EVER = 0
# An outward action is known for some days at least, or it might be done once more.
EVENT_DAYS_MIN = 7


class Kind(StrEnum):
    ARTIFACTS = "artifacts"
    LOGS = "logs"
    BUILDS = "builds"
    EVENTS = "events"


def before(now: datetime, days: int, kind: Kind | None = None) -> datetime | None:
    """What ended before this moment goes; None keeps it for ever."""
    if days == FOR_EVER:
        return None
    return now - timedelta(days=max(days, EVENT_DAYS_MIN) if kind == Kind.EVENTS else days)


def days_of(stored: str | None, usual: int) -> int:
    return usual if not stored else int(stored)
