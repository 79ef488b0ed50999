"""Jobs that wait for another one of their build."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import needs
from changes.builds.models import Job, JobNeed
from changes.builds.rules import Result, Status


@dataclass(frozen=True)
class Waiting:
    """`ended` are the results of those jobs it needs that have ended."""

    job: Job
    ended: Sequence[Result]
    needed: int

    @property
    def may_ever_run(self) -> bool:
        return needs.may_run(self.ended)

    @property
    def may_start(self) -> bool:
        return self.may_ever_run and len(self.ended) == self.needed


def of(session: Session, job: Job) -> list[Waiting]:
    """By an index, so that a job nobody waits for costs one short look."""
    waiting_for = select(JobNeed.job_id).where(JobNeed.needs_id == job.id)
    waiting = select(Job).where(Job.id.in_(waiting_for), Job.status == Status.QUEUED).order_by(Job.number)
    return with_needs_of(session, session.execute(waiting).scalars().all())


def with_needs_of(session: Session, jobs: Sequence[Job]) -> list[Waiting]:
    if not jobs:
        return []
    needed = select(JobNeed.job_id, Job.status, Job.result).join(Job, Job.id == JobNeed.needs_id)
    rows = session.execute(needed.where(JobNeed.job_id.in_([job.id for job in jobs]))).all()
    states = {job.id: list[tuple[Status, Result]]() for job in jobs}
    for job_id, status, result in rows:
        states[job_id].append((status, result))
    return [waiting(job, states[job.id]) for job in jobs]


def waiting(job: Job, needed: Sequence[tuple[Status, Result]]) -> Waiting:
    ended = [result for status, result in needed if status == Status.FINISHED]
    return Waiting(job, ended, len(needed))
