"""What the watch over disks would have noted by now: sizes of the last weeks, and some clean-ups."""

from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.base import clock, ids, room
from changes.base.storage import Storage
from changes.results import disk, disk_use
from changes.results.keeping_models import OF_NOBODY, CleanUp, DiskUse

DAYS = 60
FREE_MIN_BYTES = 10**9
# Of all that lies there now, on the first of these days, and how much more on each that follows.
BEGAN_AT = 0.55
NAME_ALL = """
insert into stored_file (sha256, size_bytes, key, date_used)
select distinct on (sha256) sha256, size_bytes, key, date_created from artifact order by sha256, id
on conflict do nothing
"""
CLEAN_UPS = (("artifacts", 214, 3_100_000, 1_900_000), ("logs", 310, 9_400_000, 9_400_000))


def note(session: Session, storage: Storage) -> None:
    session.execute(text(NAME_ALL))
    disk_use.measure(session)
    if storage.folder is not None:
        place = room.place_of(storage.folder, free_min_bytes=FREE_MIN_BYTES, free_min_percent=0)
        disk.watch(session, [place], quota_bytes=0)
    now = clock.now()
    total = session.execute(
        select(func.sum(DiskUse.size_bytes)).where(DiskUse.project_id == OF_NOBODY)
    ).scalar_one()
    for ago in range(1, DAYS):
        share = 1 - (1 - BEGAN_AT) * ago / DAYS + 0.015 * (ago % 7)
        about = {"kind": "artifacts", "project_id": OF_NOBODY, "items": 0, "date_measured": now}
        day = (now - timedelta(days=ago)).date()
        session.merge(DiskUse(day=day, size_bytes=int(int(total) * share), **about))
    for weeks, (kind, items, size_bytes, freed_bytes) in enumerate(CLEAN_UPS * 3):
        at = now - timedelta(hours=6 * (weeks // 2) + 1)
        sizes = {"size_bytes": size_bytes // (weeks + 1), "freed_bytes": freed_bytes // (weeks + 1)}
        gone = items // (weeks + 1)
        session.add(CleanUp(id=ids.new(), date_created=at, kind=kind, items=gone, took_ms=840, **sizes))
