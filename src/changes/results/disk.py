"""Watches the disks: when they get full no step is handed out, and it goes on by itself.

What already runs may still send what it has, until the store itself says that it is full; then agents keep
what they have on their own disks and send it later.
"""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import bell, clock, room
from changes.base.room import DiskRoom, Place
from changes.base.settings import Settings
from changes.base.storage import Storage

STEPS, PAGES = "steps", "message"
# Of everything in the blob store, by kind.
STORED = {
    "artifacts": "select coalesce(sum(size_bytes), 0), count(*) from stored_file",
    "logs": "select coalesce(sum(stored_bytes), 0), count(*) from log_chunk where key is not null",
    "snapshots and caches": "select coalesce(sum(size_bytes), 0), count(*) from blob",
    "on their way": """
        select coalesce(sum(received_bytes), 0), count(*) from (
            select received_bytes from artifact_upload
            union all select received_bytes from blob_upload where not is_whole
        ) sent
    """,
}
# Of the database, by kind; the tables of months are parts of one.
TABLES = {
    "logs in the database": ("log_chunk",),
    "runs of tests": ("test_run", "test_message"),
}
TABLE_BYTES = """
select coalesce(sum(pg_total_relation_size(part.oid)), 0) from pg_class part
left join pg_inherits on inhrelid = part.oid
left join pg_class whole on whole.oid = inhparent
where part.relkind = 'r' and coalesce(whole.relname, part.relname) = any(:names)
"""


@dataclasses.dataclass(frozen=True)
class Kind:
    """`is_file` where it lies in the blob store, not in the database."""

    name: str
    size_bytes: int
    items: int
    is_file: bool


def places(settings: Settings, storage: Storage) -> list[Place]:
    """The disks that can be looked at from here: of the blob store, and of our home with the database."""
    folders = [settings.home, *([storage.folder] if storage.folder else [])]
    found = [
        room.place_of(
            folder,
            free_min_bytes=settings.disk_free_min_bytes,
            free_min_percent=settings.disk_free_min_percent,
        )
        for folder in dict.fromkeys(folders)
    ]
    # Two folders on one disk are one place.
    return list({(each.total_bytes, each.free_bytes): each for each in found}.values())


def kinds(session: Session) -> list[Kind]:
    told = []
    for name, question in STORED.items():
        size_bytes, items = session.execute(text(question)).one()
        told.append(Kind(name, int(size_bytes), int(items), is_file=True))
    database = int(session.execute(text("select pg_database_size(current_database())")).scalar_one())
    rest = database
    for name, tables in TABLES.items():
        size_bytes = int(session.execute(text(TABLE_BYTES), {"names": list(tables)}).scalar_one())
        rest -= size_bytes
        told.append(Kind(name, size_bytes, 0, is_file=False))
    told.append(Kind("the rest of the database", max(0, rest), 0, is_file=False))
    return told


def watch(session: Session, seen: Sequence[Place], *, quota_bytes: int) -> DiskRoom:
    """Measures, decides, and rings for those who wait when the pause ends."""
    found = kinds(session)
    before = room.current(session)
    was_paused = before is not None and before.is_paused
    used_bytes = sum(kind.size_bytes for kind in found)
    why = room.why_to_pause(seen, used_bytes=used_bytes, quota_bytes=quota_bytes, was_paused=was_paused)
    now = clock.now()
    since = before.date_paused if before is not None and was_paused else now
    values = {
        "is_paused": why is not None,
        "sentence": why or "",
        "used_bytes": used_bytes,
        "database_bytes": sum(kind.size_bytes for kind in found if not kind.is_file),
        "places": [dataclasses.asdict(place) for place in seen],
        "date_measured": now,
        "date_paused": since if why else None,
    }
    row = insert(DiskRoom).values(id=room.THE_ONE, **values)
    session.execute(row.on_conflict_do_update(index_elements=[DiskRoom.id], set_=values))
    if was_paused != (why is not None):
        bell.tell(session, STEPS, PAGES)
    return session.get_one(DiskRoom, room.THE_ONE, populate_existing=True)
