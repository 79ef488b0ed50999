"""Builds that are kept no longer are marked before their parts go (results/removing.py)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.builds.models import Job, JobStep
from changes.builds.removal_models import BuildRemoval


def begin(session: Session, build_ids: Collection[UUID], *, now: datetime) -> None:
    if build_ids:
        rows = [{"build_id": build_id, "date_created": now} for build_id in build_ids]
        session.execute(insert(BuildRemoval).values(rows).on_conflict_do_nothing())


def has_begun(session: Session, build_id: UUID) -> bool:
    return session.get(BuildRemoval, build_id) is not None


def begun(session: Session, *, limit: int) -> list[UUID]:
    """Those that somebody was stopped at."""
    mine = select(BuildRemoval.build_id).order_by(BuildRemoval.build_id).limit(limit)
    return list(session.execute(mine).scalars())


def hold(session: Session, build_ids: Sequence[UUID]) -> list[UUID]:
    """Those of them that are still there. Whoever else removes them now is waited for."""
    mine = select(BuildRemoval.build_id).where(BuildRemoval.build_id.in_(build_ids))
    return list(session.execute(mine.order_by(BuildRemoval.build_id).with_for_update()).scalars())


def steps_of(session: Session, build_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many steps each has: what else hangs on a build is about as many rows."""
    found = select(Job.build_id, func.count()).join(JobStep, JobStep.job_id == Job.id)
    counts = session.execute(found.where(Job.build_id.in_(build_ids)).group_by(Job.build_id))
    known = {row[0]: row[1] for row in counts}
    return {build_id: known.get(build_id, 0) for build_id in build_ids}
