"""Where the bytes are, by kind and project, noted once an hour under the day: that is what a page shows.

Of a project it is what its rows say; bytes that several of them share are counted by each. The row of
nobody (`OF_NOBODY`) has what really lies there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock
from changes.projects.models import Project
from changes.results import disk
from changes.results.keeping_models import OF_NOBODY, DiskUse

KEPT_DAYS = 400
PROJECTS_SHOWN = 50
BY_PROJECT = {
    "artifacts": """
        select build.project_id, sum(artifact.size_bytes), count(*) from artifact
        join job on job.id = artifact.job_id join build on build.id = job.build_id
        where artifact.date_removed is null group by 1
    """,
    "logs": """
        select build.project_id, sum(chunk.size_bytes), count(distinct source.id) from log_source source
        join (
            select source_id, sum(coalesce(stored_bytes, size_bytes)) as size_bytes from log_chunk group by 1
        ) chunk on chunk.source_id = source.id
        join job on job.id = source.job_id join build on build.id = job.build_id group by 1
    """,
    "caches": "select project_id, sum(size_bytes), count(*) from cache_entry group by 1",
    "snapshots": """
        select snapshot.project_id, sum(image.size_bytes), count(*) from snapshot_image image
        join snapshot on snapshot.id = image.snapshot_id where image.sha256 is not null group by 1
    """,
}


@dataclass(frozen=True)
class OfProject:
    name: str
    slug: str
    # By kind.
    sizes: dict[str, int]

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())


def measure(session: Session) -> int:
    """Again on the same day it takes the place of what was noted before. How many rows it wrote."""
    now = clock.now()
    rows = [(kind.name, OF_NOBODY, kind.size_bytes, kind.items) for kind in disk.kinds(session)]
    for kind, question in BY_PROJECT.items():
        rows += [(kind, each[0], int(each[1] or 0), int(each[2])) for each in session.execute(text(question))]
    names = ("kind", "project_id", "size_bytes", "items")
    values = [{**dict(zip(names, row, strict=True)), "day": now.date(), "date_measured": now} for row in rows]
    session.execute(delete(DiskUse).where(DiskUse.day == now.date()))
    session.execute(delete(DiskUse).where(DiskUse.day < now.date() - timedelta(days=KEPT_DAYS)))
    session.execute(insert(DiskUse), values)
    return len(values)


def newest(session: Session) -> date | None:
    return session.execute(select(func.max(DiskUse.day))).scalar_one()


def kinds_on(session: Session, day: date) -> Sequence[DiskUse]:
    mine = select(DiskUse).where(DiskUse.day == day, DiskUse.project_id == OF_NOBODY)
    return session.execute(mine.order_by(DiskUse.size_bytes.desc())).scalars().all()


def projects_on(session: Session, day: date, *, limit: int = PROJECTS_SHOWN) -> list[OfProject]:
    """The largest first."""
    mine = select(Project.name, Project.slug, DiskUse.kind, DiskUse.size_bytes)
    mine = mine.join(DiskUse, DiskUse.project_id == Project.id).where(DiskUse.day == day)
    found: dict[str, OfProject] = {}
    for name, slug, kind, size_bytes in session.execute(mine):
        found.setdefault(slug, OfProject(name, slug, {})).sizes[kind] = size_bytes
    return sorted(found.values(), key=lambda each: -each.size_bytes)[:limit]


def days(session: Session, *, since: date) -> list[tuple[date, int]]:
    """All that lay there on each day, oldest first."""
    total = select(DiskUse.day, func.sum(DiskUse.size_bytes)).where(DiskUse.project_id == OF_NOBODY)
    rows = session.execute(total.where(DiskUse.day >= since).group_by(DiskUse.day).order_by(DiskUse.day))
    return [(row[0], int(row[1])) for row in rows]


def growth_a_day(seen: Sequence[tuple[date, int]]) -> int | None:
    """Between the first and the last; None where there are not two days."""
    if len(seen) <= 1:
        return None
    (first, before), (last, now) = seen[0], seen[-1]
    return (now - before) // (last - first).days


def days_left(free_bytes: int, growth: int | None) -> int | None:
    """Until a disk that fills as it did is full; None where it does not fill."""
    return None if growth is None or growth <= 0 else free_bytes // growth


def measured_at(rows: Sequence[DiskUse]) -> datetime | None:
    return max((row.date_measured for row in rows), default=None)
