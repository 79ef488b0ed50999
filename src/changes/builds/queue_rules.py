"""Who goes first, which machine may work, and when it may again. Pure."""

import re
from collections.abc import Collection
from enum import IntEnum

from changes.builds.rules import Cause

AUTOMATIC_TAGS = frozenset({"auto", "automatic", "bot", "cron", "nightly", "scheduled"})
# Names that programs give themselves on the systems where code is reviewed.
BOT_ADDRESS = re.compile(
    r"(^|[-+._])(bot|robot|renovate|dependabot|noreply|no-reply|jenkins|buildbot)([-+._]|$)", re.IGNORECASE
)
TRIAL_STEPS = 1
QUARANTINE_DOUBLINGS_MAX = 6


class NodeState(IntEnum):
    """What an operator said of a machine."""

    ACTIVE = 0
    # It ends what it has and gets nothing new.
    DRAINED = 1
    # It gets nothing, and what it had is done elsewhere.
    DISABLED = 2


class NodeKind(IntEnum):
    """Who works there, and who asks for that work."""

    AGENT = 0
    # A scheduler of the original: it asks for many machines, whose agents hold its steps at first.
    SCHEDULER = 1
    # One of those machines; it asks for nothing itself.
    LAUNCHED = 2


def is_automatic(cause: Cause, tags: Collection[str], author_email: str | None) -> bool:
    """People wait for their builds; programs do not mind to come second."""
    if cause == Cause.SNAPSHOT or not AUTOMATIC_TAGS.isdisjoint(tag.lower() for tag in tags):
        return True
    email = author_email or ""
    return "[bot]" in email.lower() or BOT_ADDRESS.search(email.partition("@")[0]) is not None


def is_to_be_quarantined(lost: Collection[bool], *, limit: int) -> bool:
    """`lost` says of the newest steps of a machine, newest first, which of them it lost."""
    newest = list(lost)[:limit]
    return limit > 0 and len(newest) == limit and all(newest)


def quarantine_s(first_s: int, *, earlier: int) -> int:
    """A machine that fails its trial is tried again later and later."""
    return int(first_s * 2 ** min(earlier, QUARANTINE_DOUBLINGS_MAX))
