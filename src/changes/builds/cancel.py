"""Stopping a build, or a part of it: what waits is dropped at once, what runs is told through its agent."""

from uuid import UUID

from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.builds import second_look, settle, telling
from changes.builds.explaining import explain
from changes.builds.models import Build, JobStep
from changes.builds.reasons import CANCELLED, Reason
from changes.builds.rules import HELD, Result, Status

SOMEBODY = "Somebody"


def cancel_build(session: Session, build: Build, *, by: str = SOMEBODY) -> bool:
    """False when there was nothing left to cancel. `by` is said to whoever asks why it has ended."""
    locked = settle.lock_build(session, build.id)
    if locked.is_finished:
        return False
    explain(session, locked.id, Reason(CANCELLED, {"by": by, "what": "the build"}))
    settle.abort_build(session, locked)
    return True


def cancel_job(session: Session, job_id: UUID, *, by: str = SOMEBODY, why: Reason | None = None) -> bool:
    """The other jobs of the build go on; those that need this one are skipped."""
    job = settle.lock_job(session, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    if job.is_finished:
        return False
    told = why or Reason(CANCELLED, {"by": by, "what": f"the job {job.label}"})
    explain(session, job.build_id, told, job=job)
    settle.end_job(session, job, Result.ABORTED)
    return True


def cancel_step(session: Session, step_id: UUID, *, by: str = SOMEBODY) -> bool:
    """The other steps of its phase go on; what comes after them is skipped."""
    step = settle.lock_step(session, step_id)
    if step is None:
        raise NotFound("There is no such job step.")
    if step.status == Status.FINISHED:
        return False
    told = Reason(CANCELLED, {"by": by, "what": f"the step {step.label}"})
    explain(session, step.job.build_id, told, step=step)
    look = second_look.look_of(session, step)
    for each in (step, look):
        if each is not None and each.status != Status.FINISHED:
            stop(session, each)
    return True


def stop(session: Session, step: JobStep) -> None:
    if step.status in HELD:
        telling.tell_to_stop(session, step.node_id)
    settle.finish_step(session, step, Result.ABORTED)
