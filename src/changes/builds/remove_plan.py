"""Deleting a plan: only one that no job was made of, because jobs and their history hang on it."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from changes.base.errors import Conflict, Invalid
from changes.builds.models import JobPlan
from changes.projects.models import ItemOption, Plan, Step


def remove_plan(session: Session, plan: Plan) -> None:
    if plan.in_repository:
        raise Invalid("This plan stands in its repository; it goes when the file no longer names it.")
    # A job that is being made holds a key on this row, so it is waited for and counted.
    session.execute(select(Plan.id).where(Plan.id == plan.id).with_for_update(of=Plan))
    jobs = jobs_of(session, plan)
    if jobs:
        raise Conflict(
            f"It ran {jobs} times, and what it ran stays readable."
            " Make it inactive instead: then it runs no more."
        )
    steps = select(Step.id).where(Step.plan_id == plan.id)
    session.execute(delete(ItemOption).where((ItemOption.item_id == plan.id) | ItemOption.item_id.in_(steps)))
    session.execute(delete(Plan).where(Plan.id == plan.id))


def jobs_of(session: Session, plan: Plan) -> int:
    return session.execute(select(func.count()).where(JobPlan.plan_id == plan.id)).scalar_one()
