"""Background work on builds: listeners and the sweep for silence."""

from changes.base import db
from changes.base.process import settings
from changes.builds import averages, hearing, sweep
from changes.builds.events import BuildFinished
from changes.builds.models import Build


def update_averages(event: BuildFinished) -> None:
    with db.transaction() as session:
        build = session.get(Build, event.build_id)
        if build is not None:
            averages.update_project_average(session, build.project_id)


def sweep_steps() -> None:
    """Each step in a transaction of its own: one that cannot be settled holds up no other."""
    current = settings.get()
    limits = sweep.Limits(silence_s=current.node_silence_max_s, replacements=current.jobstep_retry_max)
    with db.transaction() as session:
        is_heard = hearing.could_hear(session, for_s=limits.silence_s)
        silent = sweep.find_silent(session, limits) if is_heard else []
        overdue = sweep.find_overdue(session)
        uncollected = sweep.find_uncollected(session)
    for step_id in silent:
        with db.transaction() as session:
            sweep.give_up_silent(session, step_id, limits)
    for step_id in overdue:
        with db.transaction() as session:
            sweep.give_up_overdue(session, step_id)
    for step_id in uncollected:
        with db.transaction() as session:
            sweep.give_up_uncollected(session, step_id)
