"""Which months of test runs go, and how. Pure."""

from datetime import datetime
from enum import Enum

from changes.results import partitions, run_numbers

FOR_EVER = 0
NOTHING_GOES = 0
# Below this part of a month it is not worth to write all the rest of it anew.
WORTH_MOVING = 0.1


class Way(Enum):
    """How the runs of a month that nobody keeps are got rid of."""

    KEEP = "keep"
    # The whole month at once.
    DROP = "drop"
    # What stays moves into a month of its own, and the old one goes: the disk has its room back at once.
    MOVE = "move"
    # Row by row.
    DELETE = "delete"


def least_kept(now: datetime, keep_months: int) -> int:
    """Batches with smaller numbers go. Months go as a whole, so the oldest one kept is kept to its end."""
    if keep_months == FOR_EVER:
        return NOTHING_GOES
    month = partitions.later(partitions.month_of(now), -keep_months)
    return run_numbers.least_at(month) if month > run_numbers.EPOCH else NOTHING_GOES


def way(*, kept: int, gone: int) -> Way:
    """Of a month that is old enough for one project; what deleted ones left behind is not counted."""
    if kept == 0:
        return Way.DROP
    if gone == 0:
        return Way.KEEP
    return Way.MOVE if gone >= WORTH_MOVING * (kept + gone) else Way.DELETE


def bytes_back(size_bytes: int, *, kept: int, gone: int, how: Way) -> int:
    """About how much the disk has more afterwards; rows that are deleted leave their room behind."""
    if how in (Way.KEEP, Way.DELETE):
        return 0
    return size_bytes if kept == 0 else size_bytes * gone // (kept + gone)
