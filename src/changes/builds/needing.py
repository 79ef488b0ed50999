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
    def is_ready(self) -> bool:
        return len(self.ended) == self.needed


def of(session: Session, job: Job) -> list[Waiting]:
    """By an index, so that a job nobody waits for costs one short look."""
    waiting_for = select(JobNeed.job_id).where(JobNeed.needs_id == job.id)
    waiting = select(Job).where(Job.id.in_(waiting_for), Job.status == Status.QUEUED).order_by(Job.number)
    return [with_needs(session, each) for each in session.execute(waiting).scalars().all()]


def with_needs(session: Session, job: Job) -> Waiting:
    needed = select(Job.status, Job.result).join(JobNeed, JobNeed.needs_id == Job.id)
    rows = session.execute(needed.where(JobNeed.job_id == job.id)).all()
    return Waiting(job, [row.result for row in rows if row.status == Status.FINISHED], len(rows))
