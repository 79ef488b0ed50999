"""How long builds of a project, and jobs of a plan, usually take: the mean of the last five that passed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from changes.builds.models import Build, Job, JobPlan
from changes.builds.rules import Result, Status
from changes.projects.models import Plan, Project

LAST = 5
# So far back it is looked for jobs that passed.
LOOKED_AT = 50


def update_project_average(session: Session, project_id: UUID) -> None:
    passed = (
        select(Build.date_started, Build.date_finished)
        .where(Build.project_id == project_id, Build.status == Status.FINISHED, Build.result == Result.PASSED)
        .where(Build.date_started.is_not(None))
        .order_by(Build.id.desc())
        .limit(LAST)
    )
    mean_ms = mean_of(session, passed)
    session.execute(update(Project).where(Project.id == project_id).values(avg_build_time_ms=mean_ms))


def update_plan_averages(session: Session, build_id: UUID) -> None:
    """Of the plans that ran in this build, in one order, so that two builds do not wait in a circle."""
    ran = select(JobPlan.plan_id).where(JobPlan.build_id == build_id).order_by(JobPlan.plan_id)
    for plan_id in session.execute(ran).scalars().all():
        newest = select(JobPlan.job_id).where(JobPlan.plan_id == plan_id).order_by(JobPlan.id.desc())
        passed = (
            select(Job.date_started, Job.date_finished)
            .where(Job.id.in_(newest.limit(LOOKED_AT)), Job.status == Status.FINISHED)
            .where(Job.result == Result.PASSED, Job.date_started.is_not(None))
            .order_by(Job.id.desc())
            .limit(LAST)
        )
        mean_ms = mean_of(session, passed)
        session.execute(update(Plan).where(Plan.id == plan_id).values(avg_build_time_ms=mean_ms))


def mean_of(session: Session, dates: Select[datetime | None, datetime | None]) -> int | None:
    took = dates.subquery()
    length_s = func.extract("epoch", took.c.date_finished - took.c.date_started)
    mean_s = session.execute(select(func.avg(length_s))).scalar_one()
    return None if mean_s is None else round(float(mean_s) * 1000)
