"""Background work on results."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import apart, db, jobs, storage
from changes.base.process import settings
from changes.builds.events import BuildFinished, StepFailed
from changes.results import (
    collect,
    disk,
    disk_use,
    file_marks,
    flaky,
    keeping,
    log_errors,
    log_packing,
    origin_search,
    orphans,
    packing,
    quarantine,
    retention,
    testdays,
)
from changes.results.figures import counting


def sum_up_tests() -> None:
    if until_nothing_is_left(testdays.sum_up):
        with db.transaction() as session:
            packing.note_places(session)


def count_work() -> None:
    until_nothing_is_left(counting.count_stale)


def until_nothing_is_left(do_some: Callable[[Session], int]) -> bool:
    """In one transaction after the other, so that what came at night is done by the morning.

    Whether there was something to do.
    """
    times, is_more = 0, True
    while is_more:
        with db.transaction() as session:
            is_more = do_some(session) > 0
        times += is_more
    return times > 0


def look_for_flaky_tests() -> None:
    with db.transaction() as session:
        stale = flaky.stale_projects(session)
    apart.do_each(partial(look_for_flaky_tests_of, project_id) for project_id in stale)


def look_for_flaky_tests_of(project_id: UUID) -> None:
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
            keeping.note_month(session, retention.tidy(session, month, keep_months=keep_months))


def pack_indexes() -> None:
    packing.pack(db.database.get())


def pack_logs() -> None:
    log_packing.pack_all()


def clean_away() -> None:
    keeping.clean(storage.storage.get(), settings.get())


def sweep_files() -> None:
    orphans.sweep(storage.storage.get())


@jobs.task
def clean_away_now(asked: UUID) -> None:
    """All that is kept no longer, runs of tests too, in the name of who asked."""
    with db.transaction() as session:
        by = keeping.who_asked(session, asked)
    keeping.clean(storage.storage.get(), settings.get(), asked_by=by)
    drop_old_tests()


def watch_disk() -> None:
    current = settings.get()
    places = disk.places(current, storage.storage.get())
    with db.transaction() as session:
        disk.watch(session, places, quota_bytes=current.disk_quota_bytes)


def measure_disk_use() -> None:
    with db.transaction() as session:
        disk_use.measure(session)


@jobs.task
def count_lines_of_logs(step_id: UUID) -> None:
    file_marks.count_logs(step_id)


@jobs.task
def collect_step(step_id: UUID) -> None:
    collect.collect_step(step_id)


@jobs.task
def look_through_logs(step_id: UUID) -> None:
    log_errors.look_through(step_id)


def after_failures(session: Session, failed: Sequence[StepFailed]) -> None:
    for event in failed:
        jobs.enqueue(session, look_through_logs, event.step_id)


# --- searches for what broke a test ---------------------------------------------------------------------


def after_builds(session: Session, ended: Sequence[BuildFinished]) -> None:
    counting.note(session, [event.build_id for event in ended])
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
