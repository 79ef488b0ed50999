"""Doing a build again, or what of it did not pass.

`build_again` asks for a new build, with the plans as they are now. The others stay with the same build:
its steps get new attempts with the plans as they were, and its verdict is that of the newest ones.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Conflict, Invalid, NotFound
from changes.builds import create, outside, retry, rules, settle, wishes
from changes.builds.create import NewBuild
from changes.builds.models import Build, Job
from changes.builds.rules import Cause, Status
from changes.projects.rules import ProjectStatus

NOTHING_RAN = "There is nothing to do again: it has no steps. Ask for a new build instead."


def build_again(
    session: Session, build: Build, cause: Cause, *, timeout_min: int, asked_by: str = ""
) -> Build:
    """The same source, patch and all. Tags say how the first one came to be, so they stay with it."""
    refuse_inactive(build)
    asked = NewBuild(
        source=build.source,
        collection_id=ids.new(),
        label=build.label,
        target=build.target,
        message=build.message,
        author=build.author,
        cause=cause,
        asked_by=asked_by,
        # Whoever asks again does not vouch for what somebody else wrote.
        is_trusted=build.is_trusted,
        tags=list(build.tags),
        priority=build.priority,
        timeout_min=timeout_min,
        wishes=wishes.thawed(build.wishes),
    )
    made = create.create_build(session, build.project, asked)
    made.retried_id = build.id
    return made


def repeat_failed(session: Session, build: Build) -> Build:
    """What failed, was cancelled, or was skipped because of it; the rest keeps what it came to."""
    refuse(session, build)
    locked = settle.lock_build(session, build.id)
    newest = retry.newest_attempts(session, build.id)
    ended = [step for step in newest if step.status == Status.FINISHED]
    failed = [step for step in ended if rules.is_to_repeat(step.result)]
    if not failed:
        raise Conflict("There is nothing to do again: no step of this build has failed.")
    retry.repeat_steps(session, locked, failed)
    return locked


def restart(session: Session, build: Build) -> Build:
    """All of a build that has ended."""
    refuse(session, build)
    locked = settle.lock_build(session, build.id)
    if not locked.is_finished:
        raise Invalid("Only a build that has ended can be restarted; cancel it first.")
    steps = retry.newest_attempts(session, build.id)
    if not steps:
        raise Conflict(NOTHING_RAN)
    retry.repeat_steps(session, locked, steps)
    return locked


def repeat_job(session: Session, job_id: UUID) -> Job:
    """All steps of a job that has ended; its build goes on until that has ended too."""
    job = settle.lock_job(session, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    build = session.get_one(Build, job.build_id)
    refuse(session, build)
    if not job.is_finished:
        raise Conflict("Only a job that has ended can be done again; cancel it first.")
    steps = retry.newest_attempts(session, build.id, job.id)
    if not steps:
        raise Conflict(NOTHING_RAN)
    retry.repeat_steps(session, build, steps)
    return job


def refuse(session: Session, build: Build) -> None:
    refuse_inactive(build)
    if outside.of_build(session, build.id) is not None:
        raise Conflict("This build ran elsewhere, where it can be done again; here nobody can.")


def refuse_inactive(build: Build) -> None:
    if build.project.status != ProjectStatus.ACTIVE:
        raise Invalid(f"The project {build.project.slug} is not active.", ["project"])
