"""Whom to ask about tests whose reports name nobody: those whom the plan names that ran them."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ScalarSelect, select
from sqlalchemy.orm import Session

from changes.builds.models import JobPlan, JobStep
from changes.results import run_numbers
from changes.results.models import TestBatch


def of_batch() -> ScalarSelect[list[str] | None]:
    """A column beside one of a batch of tests."""
    said = select(JobPlan.data["terms"]["owners"]).join(JobStep, JobStep.job_id == JobPlan.job_id)
    return said.where(JobStep.id == TestBatch.step_id).correlate(TestBatch).scalar_subquery()


def of_runs(session: Session, run_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """A run is numbered by its batch, so that the runs themselves are not asked."""
    batches = {run_id: run_numbers.inside(run_id) & run_numbers.BATCH_MASK for run_id in run_ids}
    if not batches:
        return {}
    mine = select(TestBatch.id, of_batch()).where(TestBatch.id.in_(set(batches.values())))
    found = {row[0]: list(row[1] or []) for row in session.execute(mine)}
    return {run_id: found.get(batch, []) for run_id, batch in batches.items()}
