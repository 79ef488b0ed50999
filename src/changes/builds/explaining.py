"""Why something is not green, stored beside it: as a reason and its facts (reasons.py)."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import clock, db, ids
from changes.builds.models import Build, FailureReason, Job, JobStep
from changes.builds.reasons import Reason


def explain(
    session: Session, build_id: UUID, why: Reason, *, step: JobStep | None = None, job: Job | None = None
) -> None:
    """Stores why, once; a repeated report does not repeat the reason."""
    job_id = step.job_id if step else job.id if job else None
    step_id = step.id if step else None
    known = select(FailureReason.id).where(
        FailureReason.build_id == build_id,
        FailureReason.job_id.is_not_distinct_from(job_id),
        FailureReason.step_id.is_not_distinct_from(step_id),
        FailureReason.reason == why.id,
    )
    if session.execute(known).first() is None:
        session.add(
            FailureReason(
                build_id=build_id, job_id=job_id, step_id=step_id, reason=why.id, data=dict(why.facts)
            )
        )


def explain_jobs(session: Session, build_id: UUID, whys: Mapping[UUID, Reason]) -> None:
    """The same of many jobs of a build at once."""
    ours = select(FailureReason.job_id, FailureReason.reason).where(FailureReason.build_id == build_id)
    told = ours.where(FailureReason.job_id.in_(whys), FailureReason.step_id.is_(None))
    known = {(row.job_id, row.reason) for row in session.execute(told)}
    rows = [
        {"id": ids.new(), "date_created": clock.now(), "build_id": build_id, "job_id": job_id}
        | {"reason": why.id, "data": dict(why.facts)}
        for job_id, why in whys.items()
        if (job_id, why.id) not in known
    ]
    db.insert_rows(session, FailureReason, rows)


def forget_reasons(session: Session, build: Build, reasons: Collection[str]) -> None:
    """Of a build as a whole, which gets another chance; what is told of a step stays with that attempt."""
    mine = delete(FailureReason).where(FailureReason.build_id == build.id, FailureReason.step_id.is_(None))
    session.execute(mine.where(FailureReason.job_id.is_(None), FailureReason.reason.in_(reasons)))


def forget_of_jobs(session: Session, job_ids: Collection[UUID], reasons: Collection[str]) -> None:
    """Of jobs as a whole, which get another chance, too."""
    told = delete(FailureReason).where(FailureReason.job_id.in_(job_ids), FailureReason.step_id.is_(None))
    session.execute(told.where(FailureReason.reason.in_(reasons)))


def forget_of_steps(session: Session, step_ids: Collection[UUID], reasons: Collection[str]) -> None:
    """What was told of these attempts too early."""
    told = delete(FailureReason).where(FailureReason.step_id.in_(step_ids))
    session.execute(told.where(FailureReason.reason.in_(reasons)))
