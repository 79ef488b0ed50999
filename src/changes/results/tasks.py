"""Background work on results."""

from uuid import UUID

from changes.base import jobs
from changes.results import collect


@jobs.task
def collect_step(step_id: UUID) -> None:
    collect.collect_step(step_id)
