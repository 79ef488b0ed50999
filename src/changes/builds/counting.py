"""Keeps the tallies of phases, jobs and builds; under the build's lock, as settle.py does all it does."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

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


def count_each(session: Session, whole: Whole, changes: Iterable[tuple[str | None, str | None]]) -> None:
    """Many of its parts at once, each before and after."""
    if whole.tally is None:
        count(session, whole, None, None)
        return
    for before, after in changes:
        whole.tally = tally.moved(whole.tally, before, after)


def counted(session: Session, whole: Whole) -> dict[str, int]:
    """What the tally must be."""
    return tally.of_groups([row[1:] for row in session.execute(groups_of([whole]))])


def count_all(session: Session, wholes: Sequence[Whole]) -> None:
    """Many of one kind, each from its rows, by one question."""
    found: dict[UUID, list[Sequence[Any]]] = {}
    for whole_id, *group in session.execute(groups_of(wholes)) if wholes else ():
        found.setdefault(whole_id, []).append(group)
    for whole in wholes:
        whole.tally = tally.of_groups(found.get(whole.id, []))


def groups_of(wholes: Sequence[Whole]) -> Select[UUID, Status, Result, bool, int]:
    """Their parts by what they are; an attempt that was replaced is no part."""
    mine = [whole.id for whole in wholes]
    if isinstance(wholes[0], Build):
        jobs = select(Job.build_id, Job.status, Job.result, Job.is_optional, func.count())
        jobs = jobs.where(Job.build_id.in_(mine))
        return jobs.group_by(Job.build_id, Job.status, Job.result, Job.is_optional)
    if isinstance(wholes[0], Job):
        phases = select(JobPhase.job_id, JobPhase.status, JobPhase.result, false(), func.count())
        phases = phases.where(JobPhase.job_id.in_(mine))
        return phases.group_by(JobPhase.job_id, JobPhase.status, JobPhase.result)
    steps = select(JobStep.phase_id, JobStep.status, JobStep.result, false(), func.count())
    steps = steps.where(JobStep.phase_id.in_(mine), JobStep.replacement_id.is_(None))
    return steps.group_by(JobStep.phase_id, JobStep.status, JobStep.result)


def count_anew(*wholes: Whole) -> None:
    """Its parts were made or changed without being counted; the next who wants to know looks."""
    for whole in wholes:
        whole.tally = None
