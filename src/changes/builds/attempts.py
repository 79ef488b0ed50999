"""The attempts at one piece of work: a lost one points to the one that was made again for it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, joinedload

from changes.base.errors import NotFound
from changes.builds.models import Job, JobStep

# JOBSTEP_RETRY_MAX ends every chain much earlier.
ATTEMPTS_MAX = 50


def step(session: Session, step_id: UUID) -> JobStep:
    """One attempt with all that it belongs to, by one question."""
    whole = [joinedload(JobStep.node), joinedload(JobStep.job).joinedload(Job.build)]
    found = session.get(JobStep, step_id, options=whole)
    if found is None:
        raise NotFound("There is no such job step.")
    return found


def of_step(session: Session, step: JobStep) -> Sequence[JobStep]:
    """Oldest first, this one among them; found by walking the pointers both ways."""
    root = select(JobStep.id, JobStep.replacement_id).where(JobStep.id == step.id)
    forward = root.cte("later", recursive=True)
    later = aliased(JobStep)
    forward = forward.union(
        select(later.id, later.replacement_id).where(later.id == forward.c.replacement_id)
    )
    backward = root.cte("earlier", recursive=True)
    earlier = aliased(JobStep)
    backward = backward.union(
        select(earlier.id, earlier.replacement_id).where(earlier.replacement_id == backward.c.id)
    )
    chain = select(forward.c.id).union(select(backward.c.id))
    found = select(JobStep).where(JobStep.id.in_(chain)).options(joinedload(JobStep.node))
    return session.execute(found.order_by(JobStep.id).limit(ATTEMPTS_MAX)).scalars().all()
