"""What becomes of a snapshot and its images. Pure."""

from collections.abc import Collection
from enum import IntEnum


class SnapshotStatus(IntEnum):
    UNKNOWN = 0
    ACTIVE = 1
    FAILED = 2
    INVALIDATED = 3
    PENDING = 4


# Nothing comes back from these.
DEAD = (SnapshotStatus.FAILED, SnapshotStatus.INVALIDATED)
MOVES = {
    SnapshotStatus.UNKNOWN: frozenset(SnapshotStatus),
    SnapshotStatus.PENDING: frozenset({SnapshotStatus.ACTIVE, SnapshotStatus.FAILED}),
    SnapshotStatus.ACTIVE: frozenset({SnapshotStatus.INVALIDATED}),
    SnapshotStatus.FAILED: frozenset(),
    SnapshotStatus.INVALIDATED: frozenset(),
}


def may_become(now: SnapshotStatus, wanted: SnapshotStatus) -> bool:
    return wanted == now or wanted in MOVES[now]


def status_of_whole(now: SnapshotStatus, images: Collection[SnapshotStatus]) -> SnapshotStatus:
    """Usable only while all of its images are."""
    is_whole = bool(images) and all(each == SnapshotStatus.ACTIVE for each in images)
    if is_whole and now in (SnapshotStatus.PENDING, SnapshotStatus.UNKNOWN):
        return SnapshotStatus.ACTIVE
    if not is_whole and now == SnapshotStatus.ACTIVE:
        return SnapshotStatus.INVALIDATED
    if now == SnapshotStatus.PENDING and any(each in DEAD for each in images):
        return SnapshotStatus.FAILED
    return now


def after_build(now: SnapshotStatus) -> SnapshotStatus:
    """Of a snapshot whose build did not pass."""
    if now == SnapshotStatus.ACTIVE:
        return SnapshotStatus.INVALIDATED
    return now if now in DEAD else SnapshotStatus.FAILED
