"""How busy the system is, in a few numbers."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.builds.models import Build, Job, JobStep, Node
from changes.builds.queue_queries import first_id_at
from changes.builds.rules import Result, Status

LIVE_S = 60
DAY_H = 24
Counts = list[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Load:
    steps: dict[str, int]
    live_nodes: int


def count(session: Session) -> Load:
    # By way of their builds, of which few are unfinished; nothing finds the steps themselves so fast.
    found = (
        select(JobStep.status, func.count())
        .select_from(Build)
        .join(Job, Job.build_id == Build.id)
        .join(JobStep, JobStep.job_id == Job.id)
        .where(Build.status != literal_column("3"), JobStep.status != Status.FINISHED)
        .group_by(JobStep.status)
    )
    steps = {status.name.lower(): 0 for status in Status if status != Status.FINISHED}
    for status, number in session.execute(found):
        steps[status.name.lower()] = number
    since = func.now() - timedelta(seconds=LIVE_S)
    live = session.execute(select(func.count()).where(Node.date_last_seen > since)).scalar_one()
    return Load(steps, live)


def of_last_day(session: Session) -> tuple[Counts, Counts]:
    """How many builds, jobs and steps there are by status, and by result."""
    since = first_id_at(clock.now() - timedelta(hours=DAY_H))
    found: list[dict[tuple[int, int], int]] = []
    for table in (Build, Job, JobStep):
        counted = select(table.status, table.result, func.count()).where(table.id > since)
        rows = session.execute(counted.group_by(table.status, table.result))
        found.append({(row[0], row[1]): row[2] for row in rows})
    return summed(found, 0, Status), summed(found, 1, Result)


def summed(found: list[dict[tuple[int, int], int]], place: int, words: type[IntEnum]) -> Counts:
    def count(each: dict[tuple[int, int], int], word: IntEnum) -> int:
        return sum(number for key, number in each.items() if key[place] == word)

    builds, jobs, steps = found
    return [(word.name.lower(), count(builds, word), count(jobs, word), count(steps, word)) for word in words]
