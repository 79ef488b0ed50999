"""How long builds of a project, and jobs of a plan, usually take: the mean of the last five that passed."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import db
from changes.builds.models import Build, JobPlan

# 3 is finished, 1 is passed; 50 is how far back it is looked for jobs that passed. Builds of some of the
# plans, and those for snapshots, of cause 4, say nothing of whole ones. What ran elsewhere may have taken
# months, which are more milliseconds than the column holds. Rows are locked in one order, so that two who do
# this do not wait in a circle; and for a moment only, as every new build of the project counts in its row.
PROJECTS = """
    with mine as materialized (
        select id from project where id = any(%(ids)s) order by id for no key update
    )
    update project set avg_build_time_ms = usual.ms
    from mine cross join lateral (
        select round(1000 * avg(least(extract(epoch from date_finished - date_started), 2147483)))::int as ms
        from (
            select date_started, date_finished from build
            where build.project_id = mine.id and status = 3 and result = 1 and date_started is not null
                and cause <> 4 and not wishes ? 'plans'
            order by id desc limit 5
        ) passed
    ) usual
    where project.id = mine.id and avg_build_time_ms is distinct from usual.ms
"""
PLANS = """
    with mine as materialized (
        select id from plan where id = any(%(ids)s) order by id for no key update
    )
    update plan set avg_build_time_ms = usual.ms
    from mine cross join lateral (
        select round(1000 * avg(least(extract(epoch from date_finished - date_started), 2147483)))::int as ms
        from (
            select job.date_started, job.date_finished from (
                select job_id from job_plan where plan_id = mine.id order by id desc limit 50
            ) newest join job on job.id = newest.job_id
            where status = 3 and result = 1 and date_started is not null
            order by job.id desc limit 5
        ) passed
    ) usual
    where plan.id = mine.id and avg_build_time_ms is distinct from usual.ms
"""


def update_averages(session: Session, build_ids: Collection[UUID]) -> None:
    """Of the projects and plans that these builds are of."""
    projects = select(Build.project_id).where(Build.id.in_(build_ids)).distinct()
    update_project_averages(session, session.execute(projects).scalars().all())
    ran = select(JobPlan.plan_id).where(JobPlan.build_id.in_(build_ids)).distinct()
    update_plan_averages(session, session.execute(ran).scalars().all())


def update_project_averages(session: Session, project_ids: Collection[UUID]) -> None:
    db.do_at_once(session, PROJECTS, {"ids": list(project_ids)})


def update_plan_averages(session: Session, plan_ids: Collection[UUID]) -> None:
    db.do_at_once(session, PLANS, {"ids": list(plan_ids)})
