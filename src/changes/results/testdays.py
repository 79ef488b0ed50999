"""The sums of each day, for each test and for all of a project: what lists and trends are read from.

Summing up is a periodic task, and not part of storing: two builds that end at once would else wait for
each other's rows, and a report of 10,000 tests would hold the lock of its build for twice the time.
"""

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from changes.results import on_patches, run_numbers
from changes.results.models import ProjectDay, TestBatch

LOCK_NUMBER = 0x74657374646179  # "testday"
BATCHES_AT_ONCE = 100
# Once more for each batch; with the sign of minus it takes out what was put in. The mask is no parameter: the
# database must see that it is that of the index of batches.
SUM_UP = f"""
with added as (
    select batch.project_id, (batch.date_created at time zone 'UTC')::date as day, run.test_id,
        :sign * count(*) as runs,
        :sign * count(*) filter (where run.result = 1) as passed,
        :sign * count(*) filter (where run.result = 2) as failed,
        :sign * count(*) filter (where run.result = 1 and run.reruns > 0) as flaky,
        :sign * count(*) filter (where run.result = 1 and run.reruns > 1) as double_reruns,
        :sign * coalesce(sum(run.reruns), 0) as reruns,
        :sign * count(run.duration_ms) as measured,
        :sign * coalesce(sum(run.duration_ms), 0) as duration_ms,
        coalesce(max(run.duration_ms), 0) as longest_ms,
        max(run.id) filter (where run.result = 1 and run.reruns > 0) as last_run
    from test_batch batch
    join test_run run on run.id >= batch.id and run.id < batch.end_id
        and run.id & {run_numbers.BATCH_MASK} = batch.id
    where batch.id = any(:ids) and batch.is_of_commit
    group by 1, 2, 3
), kept as (
    insert into test_day as known (
        project_id, day, test_id, runs, passed, failed, flaky, double_reruns, reruns, measured,
        duration_ms, longest_ms
    )
    select project_id, day, test_id, runs, passed, failed, flaky, double_reruns, reruns, measured,
        duration_ms, longest_ms
    from added order by 1, 2, 3
    on conflict (project_id, day, test_id) do update set
        runs = known.runs + excluded.runs,
        passed = known.passed + excluded.passed,
        failed = known.failed + excluded.failed,
        flaky = known.flaky + excluded.flaky,
        double_reruns = known.double_reruns + excluded.double_reruns,
        reruns = known.reruns + excluded.reruns,
        measured = known.measured + excluded.measured,
        duration_ms = known.duration_ms + excluded.duration_ms,
        longest_ms = greatest(known.longest_ms, excluded.longest_ms)
    returning project_id, day, test_id, flaky, double_reruns, passed, reruns, runs
), apart as (
    insert into test_flaky_day as known (
        project_id, day, test_id, flaky, double_reruns, passed, reruns, last_run
    )
    select project_id, day, test_id, kept.flaky, kept.double_reruns, kept.passed, kept.reruns, added.last_run
    from kept join added using (project_id, day, test_id)
    where kept.flaky > 0 or added.flaky <> 0 order by 1, 2, 3
    on conflict (project_id, day, test_id) do update set
        flaky = excluded.flaky,
        double_reruns = excluded.double_reruns,
        passed = excluded.passed,
        reruns = excluded.reruns,
        last_run = case when :sign > 0 then greatest(known.last_run, excluded.last_run)
            else nullif(known.last_run, excluded.last_run) end
), counted as (
    -- A test whose only report was taken back is none of the day any more.
    select project_id, day,
        count(*) filter (where kept.runs > 0) - count(*) filter (where kept.runs > added.runs) as tests
    from kept join added using (project_id, day, test_id) group by 1, 2
)
insert into project_day as known (
    project_id, day, tests, runs, passed, failed, flaky, double_reruns, duration_ms
)
select project_id, day, min(counted.tests), sum(runs), sum(passed), sum(failed), sum(flaky),
    sum(double_reruns), sum(duration_ms)
from added join counted using (project_id, day)
group by 1, 2 order by 1, 2
on conflict (project_id, day) do update set
    tests = known.tests + excluded.tests,
    runs = known.runs + excluded.runs,
    passed = known.passed + excluded.passed,
    failed = known.failed + excluded.failed,
    flaky = known.flaky + excluded.flaky,
    double_reruns = known.double_reruns + excluded.double_reruns,
    duration_ms = known.duration_ms + excluded.duration_ms
"""  # noqa: S608 -- the mask is a number of ours
COUNT_ANEW = """
insert into project_day (project_id, day, tests, runs, passed, failed, flaky, double_reruns, duration_ms)
select project_id, day, count(*) filter (where runs > 0), sum(runs), sum(passed), sum(failed), sum(flaky),
    sum(double_reruns), sum(duration_ms)
from test_day where day >= current_date - :days group by 1, 2
"""
DAYS_COUNTED = 7


def sum_up(session: Session) -> int:
    """The next batches; how many there were. Only one process does it at a time."""
    alone = text("select pg_try_advisory_xact_lock(:number)")
    if not session.execute(alone, {"number": LOCK_NUMBER}).scalar():
        return 0
    waiting = select(TestBatch.id).where(~TestBatch.is_summed_up).order_by(TestBatch.id)
    # A batch that is being replaced at this moment comes another time.
    ids = list(session.execute(waiting.limit(BATCHES_AT_ONCE).with_for_update(skip_locked=True)).scalars())
    if ids:
        session.execute(text(SUM_UP), {"ids": ids, "sign": 1})
        on_patches.note(session, ids)
        session.execute(update(TestBatch).where(TestBatch.id.in_(ids)).values(is_summed_up=True))
    return len(ids)


def take_out(session: Session, batch_id: int) -> None:
    """Before a batch is replaced. The longest of the day stays: it was so long."""
    session.execute(text(SUM_UP), {"ids": [batch_id], "sign": -1})
    on_patches.take_out(session, batch_id)


def count_anew(session: Session) -> None:
    """The sums of the last days for whole projects, of what each test has. Nobody sums up meanwhile: who has
    begun to is waited for, as his part is in the one and not yet in the other.
    """
    session.execute(text("lock table project_day in exclusive mode"))
    session.execute(delete(ProjectDay).where(ProjectDay.day >= func.current_date() - DAYS_COUNTED))
    session.execute(text(COUNT_ANEW), {"days": DAYS_COUNTED})
