"""Sums of single builds, counted from their rows: of an author, of a change. Bounded.

Days, plans and machines have sums of their own (counting.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.results.figures import spread
from changes.results.figures.models import Measure
from changes.results.figures.reading import Sums

MS = timedelta(milliseconds=1)
BUILDS_MAX = 1000


@dataclass(frozen=True)
class Ended:
    """A build that has ended, as far as it is summed up."""

    result: Result
    date_created: datetime
    date_started: datetime | None
    date_finished: datetime | None


def of_authors(session: Session, author_ids: Sequence[UUID], *, days: int) -> Sums:
    """Of the newest of these days."""
    since = ids.least_at(clock.now() - timedelta(days=days))
    found = select(Build.result, Build.date_created, Build.date_started, Build.date_finished)
    mine = found.where(Build.author_id.in_(author_ids), Build.id >= since, Build.status == Status.FINISHED)
    rows = session.execute(mine.order_by(Build.id.desc()).limit(BUILDS_MAX))
    return together(Ended(*row) for row in rows)


def of_change(builds: Iterable[Build]) -> Sums:
    """Of those that have ended."""
    return together(
        Ended(each.result, each.date_created, each.date_started, each.date_finished)
        for each in builds
        if each.is_finished
    )


def together(builds: Iterable[Ended]) -> Sums:
    sums = Sums()
    for build in builds:
        sums.counts[build.result] += 1
        took_ms = between(build.date_started, build.date_finished)
        waited_ms = between(build.date_created, build.date_started)
        sums.took_ms += took_ms or 0
        sums.waited_ms += waited_ms or 0
        sums.longest_ms = max(sums.longest_ms, took_ms or 0)
        for measure, each_ms in ((Measure.TOOK, took_ms), (Measure.WAITED, waited_ms)):
            if each_ms is not None:
                sums.spreads[measure][spread.bucket_of(each_ms)] += 1
    return sums


def between(begin: datetime | None, end: datetime | None) -> int | None:
    return None if begin is None or end is None else max(0, (end - begin) // MS)
