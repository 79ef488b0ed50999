"""Background work on coverage."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import jobs
from changes.builds.events import BuildFinished
from changes.results.coverage import making
from changes.results.coverage.models import StepCoverage


@jobs.task
def merge_coverage(build_id: UUID) -> None:
    making.make(build_id)


def after_builds(session: Session, ended: Sequence[BuildFinished]) -> None:
    """Nobody else will report anything, so it need not wait."""
    mine = StepCoverage.build_id.in_([event.build_id for event in ended])
    for build_id in session.execute(select(StepCoverage.build_id).where(mine).distinct()).scalars().all():
        jobs.enqueue(session, merge_coverage, build_id)
