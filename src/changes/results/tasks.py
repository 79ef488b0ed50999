"""Background work on results."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import db, jobs
from changes.base.process import settings
from changes.builds.events import BuildFinished
from changes.results import collect, flaky, origin_search, packing, quarantine, retention, testdays


def sum_up_tests() -> None:
    """As long as there is something, so that what came at night is summed up by the morning."""
    is_more = True
    while is_more:
        with db.transaction() as session:
            is_more = testdays.sum_up(session) > 0


def look_for_flaky_tests() -> None:
    with db.transaction() as session:
        stale = flaky.stale_projects(session)
    for project_id in stale:
        with db.transaction() as session:
            flaky.look(session, project_id)


def tend_quarantine() -> None:
    with db.transaction() as session:
        quarantine.tend(session)


def drop_old_tests() -> None:
    """Month by month, each in a transaction of its own."""
    keep_months = settings.get().test_runs_keep_months
    with db.transaction() as session:
        months = [each.month for each in retention.preview(session, keep_months=keep_months)]
    for month in months:
        with db.transaction() as session:
            retention.tidy(session, month, keep_months=keep_months)
    packing.pack(db.database.get())


@jobs.task
def drop_old_tests_now(_asked: UUID) -> None:
    drop_old_tests()


@jobs.task
def collect_step(step_id: UUID) -> None:
    collect.collect_step(step_id)


# --- searches for what broke a test ---------------------------------------------------------------------


def after_builds(session: Session, ended: Sequence[BuildFinished]) -> None:
    for search_id in origin_search.waiting_for(session, [event.build_id for event in ended]):
        jobs.enqueue(session, advance_origin, search_id)


def sweep_origins() -> None:
    """For what was not heard of: a task that was given up, a build that was deleted."""
    with db.transaction() as session:
        for search_id in origin_search.going_on(session):
            jobs.enqueue(session, advance_origin, search_id)


@jobs.task
def advance_origin(search_id: UUID) -> None:
    origin_search.advance(search_id)
