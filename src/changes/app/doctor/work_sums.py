"""What must be true of the sums that statistics are made of (results/figures)."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.app.doctor.questions import Question
from changes.results.figures import counting

# Days of which something runs, has just ended, or waits to be counted are not yet what their rows are; of
# builds that retention took since, the numbers stay.
DAYS = """
with built as materialized (
    select build.project_id, (build.date_created at time zone 'UTC')::date as day,
        source.patch_id is null as is_of_commit, build.result, build.status, build.date_finished
    from build join source on source.id = build.source_id
    where build.id >= :week_id and build.date_created >= :week_begin
), unsettled as (
    select project_id, day from built where status <> 3 or date_finished > now() - interval '5 min'
    union select project_id, day from stale_day
), counted as (
    select project_id, day, is_of_commit, result, count(*) as count from built group by 1, 2, 3, 4
), shown as (
    select project_id, day, is_of_commit, result, count from work_day
    where scope = 1 and day >= (cast(:week_begin as timestamptz) at time zone 'UTC')::date
), wrong as (
    select distinct project_id, day from counted full join shown using (project_id, day, is_of_commit, result)
    where coalesce(counted.count, 0) > coalesce(shown.count, 0) or (
        coalesce(counted.count, 0) < shown.count and not exists (
            select from clean_up where kind = 'builds' and clean_up.date_created >= day
        )
    )
)
select 'project ' || slug || ' on ' || day from wrong join project on project.id = project_id
where not exists (
    select from unsettled where unsettled.project_id = wrong.project_id and unsettled.day = wrong.day
)
union all
select 'all projects on ' || day from shown where day not in (select day from stale_day) group by day
having sum(count) filter (where project_id = :all_projects)
    is distinct from sum(count) filter (where project_id <> :all_projects)
limit :limit
"""
# Of days from which retention took builds, nobody could count those anew.
NOTE_WEEK = """
insert into stale_day (project_id, day)
select project_id, day from (
    select project_id, (date_created at time zone 'UTC')::date as day from build where date_created > :since
    union select project_id, day from work_day join project on project.id = project_id
    where day > (cast(:since as timestamptz) at time zone 'UTC')::date
) week
where not exists (select from clean_up where kind = 'builds' and clean_up.date_created >= day)
on conflict do nothing
"""

QUESTIONS = [
    Question(
        "sums-of-work",
        "The numbers of a day's builds are those of the builds of that day",
        DAYS,
        "`changes doctor --fix` has the days counted anew, which a worker does within a minute.",
        can_be_mended=True,
    )
]


def mend(session: Session) -> None:
    """Whoever counts days counts those of the last week anew."""
    session.execute(text(NOTE_WEEK), {"since": counting.counted_again_since()})
