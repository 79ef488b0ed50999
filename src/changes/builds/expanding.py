"""A long list that a collecting step named is made into steps by a worker, not inside the agent's report.

The report is answered as soon as the list was understood; the step goes on as "collecting results"
until its list, and whatever else it left behind, is stored.
"""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import db, jobs
from changes.builds import collected, expand, settle
from changes.builds.collected import Collected
from changes.builds.models import Expansion, JobStep
from changes.builds.rules import Result, Status

COMMANDS_AT_ONCE = 300
NAMES_AT_ONCE = 3_000


def is_long(found: Collected) -> bool:
    return len(found.commands) > COMMANDS_AT_ONCE or len(found.names) > NAMES_AT_ONCE


def keep(session: Session, step: JobStep, text: str, found: Collected) -> None:
    size = len(found.commands) or len(found.names)
    session.add(Expansion(step_id=step.id, text=text, size=size))
    session.flush()


def begin(session: Session, step: JobStep, *, is_read: bool) -> None:
    """`is_read` is False while somebody still reads what else the step left behind."""
    kept = session.get_one(Expansion, step.id)
    kept.is_read = is_read
    jobs.enqueue(session, make_named_steps, step.id)


def is_kept(session: Session, step: JobStep) -> bool:
    """Most steps collect nothing, and are not asked about."""
    if "expands_into" not in step.data:
        return False
    return session.execute(select(Expansion.step_id).where(Expansion.step_id == step.id)).first() is not None


def note_read(session: Session, step: JobStep, result: Result) -> bool:
    """The rest was read; True where the list is still to be made, and ends the step."""
    if not is_kept(session, step):
        return False
    if result != Result.PASSED:
        drop(session, step.id)
        return False
    session.get_one(Expansion, step.id, populate_existing=True).is_read = True
    return True


def drop(session: Session, step_id: UUID) -> None:
    session.execute(delete(Expansion).where(Expansion.step_id == step_id))


@jobs.task
def make_named_steps(step_id: UUID) -> None:
    """What takes long is done before the build is locked. May run twice."""
    with db.transaction() as session:
        step, kept = session.get(JobStep, step_id), session.get(Expansion, step_id)
        if step is None or kept is None:
            return
        found = collected.read(expand.kind_of(step), kept.text)
        works = expand.work_of(session, step, found)
    with db.transaction() as session:
        step = settle.lock_step(session, step_id)
        kept = session.get(Expansion, step_id)
        if step is None or kept is None:
            return
        # It may have been cancelled or given up meanwhile.
        if step.status == Status.COLLECTING_RESULTS:
            expand.make(session, step, found, works)
            if kept.is_read:
                settle.finish_step(session, step, Result.PASSED)
        drop(session, step_id)
