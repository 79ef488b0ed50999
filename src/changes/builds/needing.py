"""Jobs that wait for another one of their build."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from changes.builds import needs, tally
from changes.builds.models import Job, JobNeed, JobPhase, JobStep
from changes.builds.reasons import NEEDS_NOT_MET, Reason
from changes.builds.rules import Result, Status

# A step that has been let go.
GOING_ON = (
    Status.PENDING_ALLOCATION,
    Status.ALLOCATED,
    Status.IN_PROGRESS,
    Status.COLLECTING_RESULTS,
)


@dataclass(frozen=True)
class Waiting:
    """What it needs and has ended, and of how many. A job of which something goes on was let start when
    all was well, and does not wait once more although that is done again.
    """

    job: Job
    ended: Sequence[tuple[UUID, Result]]
    needed: int
    goes_on: bool

    @property
    def may_start(self) -> bool:
        return self.goes_on or (not self.ended_badly and len(self.ended) == self.needed)

    @property
    def ended_badly(self) -> Sequence[UUID]:
        return [job_id for job_id, result in self.ended if not needs.may_run([result])]


@dataclass(frozen=True)
class Doomed:
    """A job that can never run, the one it fails for, and how its build has counted it until now."""

    job_id: UUID
    needs_id: UUID
    counted_as: str

    def why(self, jobs: Mapping[UUID, Job]) -> Reason:
        """Once all of them are skipped."""
        job, needed = jobs[self.job_id], jobs[self.needs_id]
        facts = {"job": job.label, "needed": needed.label, "result": needed.result.name.lower()}
        return Reason(NEEDS_NOT_MET, facts)


def of(session: Session, job: Job) -> list[Waiting]:
    """By an index, so that a job nobody waits for costs one short look."""
    waiting_for = select(JobNeed.job_id).where(JobNeed.needs_id == job.id)
    waiting = select(Job).where(Job.id.in_(waiting_for), waits()).order_by(Job.number)
    return with_needs_of(session, session.execute(waiting).scalars().all())


def with_needs_of(session: Session, jobs: Sequence[Job]) -> list[Waiting]:
    if not jobs:
        return []
    mine = [job.id for job in jobs]
    needed = select(JobNeed.job_id, Job.id, Job.status, Job.result).join(Job, Job.id == JobNeed.needs_id)
    states = {job_id: list[tuple[UUID, Status, Result]]() for job_id in mine}
    for job_id, needed_id, status, result in session.execute(needed.where(JobNeed.job_id.in_(mine))):
        states[job_id].append((needed_id, status, result))
    begun = going_on(session, mine)
    return [waiting(job, states[job.id], goes_on=job.id in begun) for job in jobs]


def going_on(session: Session, job_ids: Collection[UUID]) -> set[UUID]:
    going = select(JobStep.job_id).where(JobStep.job_id.in_(job_ids), JobStep.status.in_(GOING_ON))
    return set(session.execute(going.distinct()).scalars())


def waiting(job: Job, needed: Sequence[tuple[UUID, Status, Result]], *, goes_on: bool) -> Waiting:
    ended = [(job_id, result) for job_id, status, result in needed if status == Status.FINISHED]
    return Waiting(job, ended, len(needed), goes_on)


def waits() -> ColumnElement[bool]:
    """Its status alone does not say so: a later phase of a job that runs is queued, too."""
    goes_on = select(JobStep.id).where(JobStep.job_id == Job.id, JobStep.status.in_(GOING_ON))
    return (Job.status == Status.QUEUED) & ~goes_on.exists()


def doomed_by(session: Session, ended_badly: Collection[UUID]) -> list[Doomed]:
    """Of those that wait, all that need one of these, all that need those, and so on: by one question."""
    session.flush()
    edge = select(JobNeed.job_id, JobNeed.needs_id).join(Job, Job.id == JobNeed.job_id).where(waits())
    found = edge.where(JobNeed.needs_id.in_(ended_badly)).cte("doomed", recursive=True)
    found = found.union(edge.join(found, JobNeed.needs_id == found.c.job_id))
    states = select(found, Job.status, Job.result, Job.is_optional).join(Job, Job.id == found.c.job_id)
    rows = session.execute(states.order_by(Job.number)).all()
    counted = {row[0]: tally.key_of_job(row[2], row[3], is_optional=row[4]) for row in rows}
    because = needs.doomed([(row[0], row[1]) for row in rows], ended_badly)
    return [Doomed(job_id, needs_id, counted[job_id]) for job_id, needs_id in because.items()]


def came_to(session: Session, jobs: Collection[UUID]) -> dict[UUID, list[Result]]:
    """Of those jobs of which something was more than skipped, what their phases came to."""
    more = select(JobPhase.job_id).where(JobPhase.job_id.in_(jobs), JobPhase.result != Result.SKIPPED)
    phases = select(JobPhase.job_id, JobPhase.result).where(JobPhase.job_id.in_(more)).distinct()
    found: dict[UUID, list[Result]] = {}
    for job_id, result in session.execute(phases):
        found.setdefault(job_id, []).append(result)
    return found
