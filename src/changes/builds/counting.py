"""Keeps the tallies of phases, jobs and builds; under the build's lock, as settle.py does all it does."""

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session

from changes.builds import tally
from changes.builds.models import Build, Job, JobPhase, JobStep
from changes.builds.rules import Result, Status

Whole = JobPhase | Job | Build


def count(session: Session, whole: Whole, before: str | None, after: str | None) -> None:
    """One of its parts counts differently now. What nobody has counted yet is counted from the rows."""
    if whole.tally is not None:
        whole.tally = tally.moved(whole.tally, before, after)
        return
    session.flush()
    whole.tally = counted(session, whole)


def counted(session: Session, whole: Whole) -> dict[str, int]:
    """What the tally must be."""
    return tally.of_groups(session.execute(groups_of(whole)).all())


def groups_of(whole: Whole) -> Select[Status, Result, bool, int]:
    """Its parts by what they are; an attempt that was replaced is no part."""
    if isinstance(whole, Build):
        jobs = select(Job.status, Job.result, Job.is_optional, func.count())
        return jobs.where(Job.build_id == whole.id).group_by(Job.status, Job.result, Job.is_optional)
    if isinstance(whole, Job):
        phases = select(JobPhase.status, JobPhase.result, false(), func.count())
        return phases.where(JobPhase.job_id == whole.id).group_by(JobPhase.status, JobPhase.result)
    steps = select(JobStep.status, JobStep.result, false(), func.count())
    mine = steps.where(JobStep.phase_id == whole.id, JobStep.replacement_id.is_(None))
    return mine.group_by(JobStep.status, JobStep.result)


def count_anew(*wholes: Whole) -> None:
    """Its parts were made or changed without being counted; the next who wants to know looks."""
    for whole in wholes:
        whole.tally = None
