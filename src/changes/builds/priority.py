"""Changing how urgent a build is while parts of it still wait."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from changes.builds import lanes, settle, telling
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import WAITING, Priority


def change(session: Session, build: Build, priority: Priority) -> int:
    """What waits moves to the lane of its new priority; returns how many steps. What runs is left alone."""
    locked = settle.lock_build(session, build.id)
    locked.priority = priority
    jobs = select(Job.id).where(Job.build_id == build.id)
    waiting = update(JobStep).where(JobStep.job_id.in_(jobs), JobStep.status.in_(WAITING))
    moved = session.execute(waiting.values(priority=priority, lane_id=None).returning(JobStep.id)).all()
    lanes.enter(session)
    telling.tell(session, locked)
    return len(moved)
