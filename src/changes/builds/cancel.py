"""Stopping a build, or a part of it: what waits is dropped at once, what runs is told through its agent."""

from uuid import UUID

from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.builds import second_look, settle, telling
from changes.builds.models import Build, JobStep
from changes.builds.rules import HELD, Result, Status


def cancel_build(session: Session, build: Build) -> bool:
    """False when there was nothing left to cancel."""
    locked = settle.lock_build(session, build.id)
    if locked.is_finished:
        return False
    settle.abort_build(session, locked)
    return True


def cancel_job(session: Session, job_id: UUID) -> bool:
    """The other jobs of the build go on; those that need this one are skipped."""
    job = settle.lock_job(session, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    if job.is_finished:
        return False
    settle.end_job(session, job, Result.ABORTED)
    return True


def cancel_step(session: Session, step_id: UUID) -> bool:
    """The other steps of its phase go on; what comes after them is skipped."""
    step = settle.lock_step(session, step_id)
    if step is None:
        raise NotFound("There is no such job step.")
    if step.status == Status.FINISHED:
        return False
    look = second_look.look_of(session, step)
    for each in (step, look):
        if each is not None and each.status != Status.FINISHED:
            stop(session, each)
    return True


def stop(session: Session, step: JobStep) -> None:
    if step.status in HELD:
        telling.tell_to_stop(session, step.node_id)
    settle.finish_step(session, step, Result.ABORTED)
