"""Counts what has ended, day by day. Always counted anew, never added to: a build may end several times.

A build counts on the day it was asked for, with its jobs and with all attempts of its steps. When it ends,
its day is stale, and counted again with the next look. After a week a day stands as it is, even if
its builds are removed; only what ran elsewhere may be told of later.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.results.figures.models import ALL_PROJECTS

LOCK_NUMBER = 0x66696775726573  # "figures"
DAYS_AT_ONCE = 50
SLOWEST_KEPT = 20
COUNTED_AGAIN_DAYS = 7

NOTE = """
insert into stale_day (project_id, day)
select distinct project_id, (date_created at time zone 'UTC')::date from build
where id = any(:build_ids)
    and (date_created > :since or exists (select from outside_build where build_id = build.id))
on conflict do nothing
"""
# How many builds of a day were counted, and how many there are.
KNOWN = """
select
    (select coalesce(sum(count), 0) from work_day
     where project_id = :project_id and day = :day and scope = 1),
    (select count(*) from build where project_id = :project_id and id >= :least_id and id < :end_id
     and date_created >= :begin and date_created < :end and status = 3)
"""
TAKE = """
delete from stale_day where (project_id, day) in (
    select project_id, day from stale_day order by day desc, project_id limit :limit for update skip locked
) returning project_id, day
"""
FORGET = "delete from {table} where project_id = any(:project_ids) and day >= :first and day < :after"
# Ids carry their time, so the builds of some days lie together; the exact day is that of the row.
WORK = """
with asked as materialized (
    select build.id, build.project_id, (build.date_created at time zone 'UTC')::date as day,
        source.patch_id is null as is_of_commit, build.result, build.status,
        build.date_created, build.date_started, build.date_finished
    from build join source on source.id = build.source_id
    where build.project_id = any(:project_ids) and build.id >= :least_id and build.id < :end_id
        and build.date_created >= :begin and build.date_created < :end and build.status = 3
), work as materialized (
    select project_id, day, 1::smallint as scope, project_id as owner_id, is_of_commit, result,
        date_finished - date_started as took, date_started - date_created as waited
    from asked
    union all
    select asked.project_id, day, 2::smallint, job_plan.plan_id, is_of_commit, job.result,
        job.date_finished - job.date_started, job.date_started - job.date_created
    from asked join job on job.build_id = asked.id join job_plan on job_plan.job_id = job.id
    where job.status = 3
    union all
    select asked.project_id, day, 3::smallint, step.node_id, is_of_commit, step.result,
        step.date_finished - step.date_started, step.date_started - step.date_pending
    from asked join job on job.build_id = asked.id join job_step step on step.job_id = job.id
    where step.status = 3 and step.node_id is not null
), timed as materialized (
    select project_id, day, scope, owner_id, is_of_commit, result,
        (1000 * greatest(0, extract(epoch from took)))::bigint as took_ms,
        (1000 * greatest(0, extract(epoch from waited)))::bigint as waited_ms
    from work
), counted as (
    insert into work_day (
        project_id, day, scope, owner_id, is_of_commit, result, count, took_ms, longest_ms, waited_ms
    )
    select project_id, day, scope, owner_id, is_of_commit, result, count(*), coalesce(sum(took_ms), 0),
        coalesce(max(took_ms), 0), coalesce(sum(waited_ms), 0)
    from timed group by 1, 2, 3, 4, 5, 6
)
insert into work_spread (
    project_id, day, scope, owner_id, is_of_commit, result, measure, bucket, count
)
select project_id, day, scope, owner_id, is_of_commit, result, measure,
    case when ms < 1 then 0 else floor(4 * ln(ms::float8) / ln(2::float8))::int + 1 end, count(*)
from timed cross join lateral (values (1::smallint, took_ms), (2::smallint, waited_ms)) as each (measure, ms)
where ms is not null
group by 1, 2, 3, 4, 5, 6, 7, 8
"""
SLOWEST = """
insert into slow_step (project_id, day, step_id, plan_id, is_of_commit, result, took_ms)
select project_id, day, id, plan_id, is_of_commit, result, took_ms from (
    select build.project_id, (build.date_created at time zone 'UTC')::date as day, step.id, job_plan.plan_id,
        source.patch_id is null as is_of_commit, step.result,
        (1000 * extract(epoch from step.date_finished - step.date_started))::bigint as took_ms,
        row_number() over (
            partition by build.project_id, (build.date_created at time zone 'UTC')::date
            order by step.date_finished - step.date_started desc, step.id
        ) as place
    from build join source on source.id = build.source_id join job on job.build_id = build.id
    join job_step step on step.job_id = job.id left join job_plan on job_plan.job_id = job.id
    where build.project_id = any(:project_ids) and build.id >= :least_id and build.id < :end_id
        and build.date_created >= :begin and build.date_created < :end and build.status = 3
        and step.date_finished > step.date_started and step.replacement_id is null
) ranked where place <= :kept
"""
# Of all projects together, from what was just counted of each.
WORK_OF_ALL = """
insert into work_day (
    project_id, day, scope, owner_id, is_of_commit, result, count, took_ms, longest_ms, waited_ms
)
select :all, day, scope, case scope when 1 then :all else owner_id end, is_of_commit, result, sum(count),
    sum(took_ms), max(longest_ms), sum(waited_ms)
from work_day where day >= :first and day < :after and scope in (1, 3) and project_id <> :all
group by 2, 3, 4, 5, 6
"""
SPREAD_OF_ALL = """
insert into work_spread (
    project_id, day, scope, owner_id, is_of_commit, result, measure, bucket, count
)
select :all, day, scope, case scope when 1 then :all else owner_id end, is_of_commit, result, measure, bucket,
    sum(count)
from work_spread where day >= :first and day < :after and scope in (1, 3) and project_id <> :all
group by 2, 3, 4, 5, 6, 7, 8
"""
SLOWEST_OF_ALL = """
insert into slow_step (project_id, day, step_id, plan_id, is_of_commit, result, took_ms)
select :all, day, step_id, plan_id, is_of_commit, result, took_ms from (
    select *, row_number() over (partition by day order by took_ms desc, step_id) as place
    from slow_step where day >= :first and day < :after and project_id <> :all
) ranked where place <= :kept
"""
TABLES = ("work_day", "work_spread", "slow_step")


@dataclass(frozen=True)
class Days:
    """From the first to before the last."""

    first: date
    after: date

    @classmethod
    def one(cls, day: date) -> "Days":
        return cls(day, day + timedelta(days=1))


def note(session: Session, build_ids: Collection[UUID]) -> None:
    """These have ended."""
    asked = {"build_ids": list(build_ids), "since": counted_again_since()}
    session.execute(text(NOTE), asked)


def counted_again_since() -> datetime:
    return clock.now() - timedelta(days=COUNTED_AGAIN_DAYS)


def count_stale(session: Session) -> int:
    """The next days; how many there were. Only one process does it at a time."""
    alone = text("select pg_try_advisory_xact_lock(:number)")
    if not session.execute(alone, {"number": LOCK_NUMBER}).scalar():
        return 0
    stale = session.execute(text(TAKE), {"limit": DAYS_AT_ONCE}).all()
    by_day: dict[date, list[UUID]] = {}
    for project_id, day in stale:
        if not is_past(session, project_id, day):
            by_day.setdefault(day, []).append(project_id)
    for day in sorted(by_day):
        count(session, by_day[day], Days.one(day))
    return len(stale)


def is_past(session: Session, project_id: UUID, day: date) -> bool:
    """Of an old day builds may be gone that were counted, and then it is not counted again without them."""
    if day >= counted_again_since().date():
        return False
    asked = {"project_id": project_id, "day": day, **times_of(Days.one(day))}
    counted, left = session.execute(text(KNOWN), asked).one()
    return bool(counted >= left)


def count(session: Session, project_ids: Collection[UUID], days: Days) -> None:
    of_projects = {"project_ids": list(project_ids), "first": days.first, "after": days.after}
    of_all = {"all": ALL_PROJECTS, "first": days.first, "after": days.after}
    built = {**of_projects, **times_of(days)}
    for table in TABLES:
        session.execute(text(FORGET.format(table=table)), of_projects)
    session.execute(text(WORK), built)
    session.execute(text(SLOWEST), {**built, "kept": SLOWEST_KEPT})
    for table in TABLES:
        session.execute(text(FORGET.format(table=table)), {**of_all, "project_ids": [ALL_PROJECTS]})
    session.execute(text(WORK_OF_ALL), of_all)
    session.execute(text(SPREAD_OF_ALL), of_all)
    session.execute(text(SLOWEST_OF_ALL), {**of_all, "kept": SLOWEST_KEPT})


def times_of(days: Days) -> dict[str, object]:
    """An id is made a moment before its row, or after it: a day to each side is more than enough."""
    begin, end = midnight(days.first), midnight(days.after)
    around = timedelta(days=1)
    least, after = ids.least_at(begin - around), ids.least_at(end + around)
    return {"begin": begin, "end": end, "least_id": least, "end_id": after}


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
