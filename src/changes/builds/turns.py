"""What a step waits for that is not in the queue yet: another job of its build, or an earlier phase of its
own job.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from changes.builds import needing, waiting_rules
from changes.builds.models import Job, JobNeed, JobPhase, JobStep
from changes.builds.rules import Status
from changes.builds.waiting_rules import Waiting


def of_queued(session: Session, steps: Sequence[JobStep]) -> dict[UUID, Waiting]:
    """By three questions for any number of them."""
    if not steps:
        return {}
    needed = unended_needs(session, {step.job_id for step in steps})
    earlier = unended_phases(session, [step.id for step in steps])
    return {
        step.id: waiting_rules.before_the_queue(needed.get(step.job_id, ()), earlier.get(step.id))
        for step in steps
    }


def unended_needs(session: Session, job_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Of jobs that have not begun: by then all was well with those they need."""
    begun = needing.going_on(session, job_ids)
    found = select(JobNeed.job_id, Job.label).join(Job, Job.id == JobNeed.needs_id)
    mine = found.where(JobNeed.job_id.in_(job_ids), Job.status != Status.FINISHED).order_by(Job.number)
    labels: dict[UUID, list[str]] = {}
    for job_id, label in session.execute(mine):
        if job_id not in begun:
            labels.setdefault(job_id, []).append(label)
    return labels


def unended_phases(session: Session, step_ids: Collection[UUID]) -> dict[UUID, str]:
    """The first one before its own."""
    own, earlier = aliased(JobPhase), aliased(JobPhase)
    is_earlier = (earlier.job_id == own.job_id) & (earlier.order < own.order)
    found = select(JobStep.id, earlier.label).join(own, own.id == JobStep.phase_id).join(earlier, is_earlier)
    unended = found.where(JobStep.id.in_(step_ids), earlier.status != Status.FINISHED)
    labels: dict[UUID, str] = {}
    for step_id, label in session.execute(unended.order_by(earlier.order)):
        labels.setdefault(step_id, label)
    return labels
