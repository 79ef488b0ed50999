"""Background work on results."""

from uuid import UUID

from changes.base import db, jobs
from changes.results import collect, testdays


def sum_up_tests() -> None:
    """As long as there is something, so that what came at night is summed up by the morning."""
    is_more = True
    while is_more:
        with db.transaction() as session:
            is_more = testdays.sum_up(session) > 0


@jobs.task
def collect_step(step_id: UUID) -> None:
    collect.collect_step(step_id)
