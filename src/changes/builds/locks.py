"""The lock of a build: whoever changes anything of a build, or of what is below it, holds its row.

With the lock comes the time by the database's clock: those of web servers and workers decide nothing.
"""

import functools
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session, lazyload
from sqlalchemy.orm.attributes import set_committed_value

from changes.base import questions
from changes.base.questions import Question
from changes.base.task import NOW
from changes.builds.models import Build, Command, Job, JobPhase, JobStep

# What a session knows since it locked a build. It forgets rows that nobody holds, and the build is
# needed again at the end.
LOCKED_BUILD = "locked build"
LOCKED_PHASE = "locked phase"
MOMENT = "moment"
BUILD_OF_STEP = """
select {names}, statement_timestamp() from build
where id = (
    select job.build_id from job_step join job on job.id = job_step.job_id where job_step.id = %(step_id)s
)
for update of build
"""
STEP_WITH_WHOLE = """
select {names} from job_step
join job on job.id = job_step.job_id
join job_phase on job_phase.id = job_step.phase_id
left join command on command.step_id = job_step.id
where job_step.id = %(step_id)s
order by command."order"
"""


def lock_build(session: Session, build_id: UUID) -> Build:
    """Taken first by whoever changes anything of a build, so that nobody waits in a circle."""
    build = take_lock(session, Build.id == build_id)
    return build if build is not None else session.get_one(Build, build_id)


def lock_step(session: Session, step_id: UUID) -> JobStep | None:
    """The step as it is now, with its build locked. Its job and phase come with it."""
    found = lock_step_with_commands(session, step_id)
    return None if found is None else found[0]


def lock_step_with_commands(session: Session, step_id: UUID) -> tuple[JobStep, list[Command]] | None:
    """On one way to the database and back: this is asked at every word of an agent."""
    session.flush()
    build_of_step, step_with_whole = statements_for_step()
    builds, rows = questions.ask_together(
        session,
        [Question(build_of_step, {"step_id": step_id}), Question(step_with_whole, {"step_id": step_id})],
    )
    if not builds or not rows:
        return None
    [build] = questions.objects(session, builds[0][:-1], Build, is_fresh=True)
    note_lock(session, build, builds[0][-1])
    step, job, phase = questions.objects(session, rows[0], JobStep, Job, JobPhase, is_fresh=True)
    set_committed_value(step, "job", job)
    session.info[LOCKED_PHASE] = phase
    before = questions.width(JobStep, Job, JobPhase)
    commands = [questions.objects(session, row[before:], Command, is_fresh=True)[0] for row in rows]
    return step, [command for command in commands if command is not None]


@functools.cache
def statements_for_step() -> tuple[str, str]:
    """Its build, locked; it, with its job, its phase and its commands in their order. The second one sees
    what is there when the lock is held.
    """
    return (
        BUILD_OF_STEP.format(names=questions.names(Build)),
        STEP_WITH_WHOLE.format(names=questions.names(JobStep, Job, JobPhase, Command)),
    )


def lock_job(session: Session, job_id: UUID) -> Job | None:
    """The job as it is now, with its build locked."""
    its_build = select(Job.build_id).where(Job.id == job_id).scalar_subquery()
    if take_lock(session, Build.id == its_build) is None:
        return None
    return session.get(Job, job_id, populate_existing=True)


def take_lock(session: Session, mine: ColumnElement[bool]) -> Build | None:
    row = session.execute(locked(mine)).one_or_none()
    return None if row is None else note_lock(session, *row)


def note_lock(session: Session, build: Build, at: datetime) -> Build:
    session.info[LOCKED_BUILD], session.info[MOMENT] = build, at
    session.info.pop(LOCKED_PHASE, None)
    return build


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
