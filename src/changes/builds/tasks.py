"""Background work on builds: listeners and the sweep for silence."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import apart, db
from changes.base.process import settings
from changes.builds import (
    averages,
    collection,
    green,
    hearing,
    outside,
    revision_results,
    schedules,
    snapshots,
    sweep,
    tending,
)
from changes.builds.events import BuildFinished, RevisionResultUpdated
from changes.projects import looks
from changes.projects.looks import Looks


def after_builds(session: Session, ended: Sequence[BuildFinished]) -> None:
    """All that have ended since the last time at once: a busy system pays for a look, not for a build."""
    build_ids = {event.build_id for event in ended}
    averages.update_averages(session, build_ids)
    revision_results.update(session, ended)
    collection.tell_when_finished(session, *build_ids)
    snapshots.after_builds(session, build_ids)


def note_green(event: RevisionResultUpdated) -> None:
    green.note(event)


def sweep_steps() -> None:
    """Each step in a transaction of its own: one that cannot be settled holds up no other."""
    current = settings.get()
    limits = sweep.Limits(
        silence_s=current.node_silence_max_s,
        replacements=current.jobstep_retry_max,
        machines=current.jobstep_machine_retry_max,
        allocation_s=current.jobstep_allocation_timeout_s,
    )
    with db.transaction() as session:
        is_heard = has_heard(session)
        found = [(look, sweep.find(session, look, limits)) for look in sweep.LOOKS]
    apart.do_each(
        partial(in_transaction, sweep.settle_silent, look, step_id, limits)
        for look, step_ids in found
        if is_heard or not look.needs_hearing
        for step_id in step_ids
    )


def in_transaction(act: Callable[..., object], *arguments: object, **named: object) -> None:
    with db.transaction() as session:
        act(session, *arguments, **named)


def sweep_builds() -> None:
    with db.transaction() as session:
        overdue = sweep.find_builds_overdue(session) if has_heard(session) else []
    apart.do_each(partial(in_transaction, sweep.give_up_build, build_id) for build_id in overdue)


def has_heard(session: Session) -> bool:
    """For so long that whoever was held up by our absence has told what it did meanwhile."""
    return hearing.could_hear(session, for_s=settings.get().node_silence_max_s)


def tend_queue() -> None:
    with db.transaction() as session:
        tending.tend(session)


def run_schedules() -> None:
    """Each in a transaction of its own: one whose repository cannot be read holds up no other."""
    with db.transaction() as session:
        due = schedules.find_due(session)
    apart.do_each(partial(looks.outside, partial(run_schedule, schedule_id)) for schedule_id in due)


def run_schedule(schedule_id: UUID, found: Looks) -> None:
    with looks.transaction(found) as session:
        schedules.run(session, schedule_id, timeout_min=settings.get().default_job_timeout_min)


def sweep_outside() -> None:
    silence_min = settings.get().outside_silence_max_min
    with db.transaction() as session:
        silent = outside.find_silent(session, silence_min=silence_min) if has_heard(session) else []
    apart.do_each(
        partial(in_transaction, outside.give_up_silent, build_id, silence_min=silence_min)
        for build_id in silent
    )
