"""The lock of a build: whoever changes anything of a build, or of what is below it, holds its row.

With the lock comes the time by the database's clock: those of web servers and workers decide nothing.
"""

import functools
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, select
from sqlalchemy.orm import Session, lazyload
from sqlalchemy.orm.attributes import set_committed_value

from changes.base.task import NOW
from changes.builds.models import Build, Command, Job, JobPhase, JobStep

# What a session knows since it locked a build. It forgets rows that nobody holds, and the build is
# needed again at the end.
LOCKED_BUILD = "locked build"
LOCKED_PHASE = "locked phase"
MOMENT = "moment"


def lock_build(session: Session, build_id: UUID) -> Build:
    """Taken first by whoever changes anything of a build, so that nobody waits in a circle."""
    build = take_lock(session, Build.id == build_id)
    return build if build is not None else session.get_one(Build, build_id)


def lock_step(session: Session, step_id: UUID) -> JobStep | None:
    """The step as it is now, with its build locked. Its job and phase come with it."""
    found = lock_step_with_commands(session, step_id)
    return None if found is None else found[0]


def lock_step_with_commands(session: Session, step_id: UUID) -> tuple[JobStep, list[Command]] | None:
    build_of_step, step_with_whole = statements_for_step()
    if note_lock(session, session.execute(build_of_step, {"step_id": step_id}).one_or_none()) is None:
        return None
    rows = session.execute(step_with_whole, {"step_id": step_id}).all()
    if not rows:
        return None
    step, job, phase, _ = rows[0]
    set_committed_value(step, "job", job)
    session.info[LOCKED_PHASE] = phase
    commands: list[Command | None] = [row[3] for row in rows]
    return step, [command for command in commands if command is not None]


@functools.cache
def statements_for_step() -> tuple[Select[Build, datetime], Select[JobStep, Job, JobPhase, Command]]:
    """Made once, as they are asked at every word of an agent: its build, locked; it, with its job, its phase
    and its commands in their order.
    """
    step_id = bindparam("step_id", type_=JobStep.id.type)
    its_job = select(Job.build_id).join(JobStep, JobStep.job_id == Job.id).where(JobStep.id == step_id)
    found = select(JobStep, Job, JobPhase, Command).where(JobStep.id == step_id)
    found = found.join(Job, Job.id == JobStep.job_id).join(JobPhase, JobPhase.id == JobStep.phase_id)
    found = found.outerjoin(Command, Command.step_id == JobStep.id).order_by(Command.order)
    build = locked(Build.id == its_job.scalar_subquery())
    return build, found.execution_options(populate_existing=True)


def lock_job(session: Session, job_id: UUID) -> Job | None:
    """The job as it is now, with its build locked."""
    its_build = select(Job.build_id).where(Job.id == job_id).scalar_subquery()
    if take_lock(session, Build.id == its_build) is None:
        return None
    return session.get(Job, job_id, populate_existing=True)


def take_lock(session: Session, mine: ColumnElement[bool]) -> Build | None:
    return note_lock(session, session.execute(locked(mine)).one_or_none())


def note_lock(session: Session, row: Row[Build, datetime] | None) -> Build | None:
    if row is None:
        return None
    session.info[LOCKED_BUILD], session.info[MOMENT] = row
    session.info.pop(LOCKED_PHASE, None)
    return row[0]


def locked(mine: ColumnElement[bool]) -> Select[Build, datetime]:
    """Without what a build is usually shown with: this is asked at every word of an agent."""
    row = select(Build, NOW).where(mine).options(lazyload("*"))
    return row.with_for_update(of=Build).execution_options(populate_existing=True)


def moment(session: Session) -> datetime:
    """When this happens. Of a build that is just being made nobody took the lock yet."""
    if MOMENT not in session.info:
        session.info[MOMENT] = session.execute(select(NOW)).scalar_one()
    at: datetime = session.info[MOMENT]
    return at
