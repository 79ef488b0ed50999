"""Tests that did not simply pass on a patch: what a team whose changes are all patches knows of flaky ones.

The sums of the days (testdays.py) know commits alone, so that a patch breaks no figure of its project. Here
is only what failed on a source with a patch, or passed there after it was run again: one row in a hundred
runs or fewer, of as many days as flaky.py looks back. A failure alone proves nothing, for a patch may break a
test; one that has passed on the same source too, in the same plan, does.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from changes.results import environments, run_numbers
from changes.results.models import TestOnPatch

# A report in which more than so many failed tells of something else than flaky tests.
FAILED_MAX = 1000
# Of one source that is built very often the newest reports are looked at.
BATCHES_MAX = 200
IN_BATCH = f"run.id >= batch.id and run.id < batch.end_id and run.id & {run_numbers.BATCH_MASK} = batch.id"
SEEN = f"""
with seen as (
    select build.source_id, run.test_id, batch.project_id,
        max((batch.date_created at time zone 'UTC')::date) as day,
        count(*) filter (where run.result = 2) as failed,
        count(*) filter (where run.result = 1 and run.reruns > 0) as flaky,
        coalesce(sum(run.reruns), 0) as reruns,
        coalesce(sum(run.reruns::bigint * run.duration_ms), 0) as rerun_ms
    from test_batch batch join build on build.id = batch.build_id join test_run run on {IN_BATCH}
    where batch.id = any(:ids) and not batch.is_of_commit and (run.result = 2 or run.reruns > 0)
    group by 1, 2, 3
)
"""  # noqa: S608 -- put together from constants
NOTE = f"""
{SEEN}, few as (
    select source_id from seen group by 1 having count(*) filter (where failed > 0) <= :most
)
insert into test_on_patch as known (
    source_id, test_id, project_id, day, failed, flaky, reruns, rerun_ms
)
select source_id, test_id, project_id, day, failed, flaky, reruns, rerun_ms
from seen where source_id in (select source_id from few) order by 1, 2
on conflict (source_id, test_id) do update set
    day = greatest(known.day, excluded.day),
    failed = known.failed + excluded.failed,
    flaky = known.flaky + excluded.flaky,
    reruns = known.reruns + excluded.reruns,
    rerun_ms = known.rerun_ms + excluded.rerun_ms
"""  # noqa: S608 -- the same
TAKE_OUT = f"""
{SEEN}
update test_on_patch known set
    failed = greatest(0, known.failed - seen.failed),
    flaky = greatest(0, known.flaky - seen.flaky),
    reruns = greatest(0, known.reruns - seen.reruns),
    rerun_ms = greatest(0, known.rerun_ms - seen.rerun_ms),
    is_split = false
from seen where known.source_id = seen.source_id and known.test_id = seen.test_id
"""  # noqa: S608 -- the same
# Found by the reports of the source, each of which has a test once or a few times: an index finds them.
FIND_SPLITS = f"""
with touched as materialized (
    select distinct build.source_id from test_batch batch join build on build.id = batch.build_id
    where batch.id = any(:ids) and not batch.is_of_commit
), reports as materialized (
    select touched.source_id, batch.*
    from touched cross join lateral (
        select batch.id, batch.end_id,
            coalesce(job_plan.plan_id::text, job.label) || '/' || {environments.OF_STEP} as plan
        from build join test_batch batch on batch.build_id = build.id
        join job on job.id = batch.job_id join job_step step on step.id = batch.step_id
        left join job_plan on job_plan.job_id = job.id
        where build.source_id = touched.source_id order by batch.id desc limit :batches
    ) batch
), again as (
    select source_id from reports group by 1 having count(*) > 1
), split as (
    select known.source_id, known.test_id
    from again join test_on_patch known on known.source_id = again.source_id
    where known.failed > 0 and not known.is_split and exists (
        select from reports batch join test_run run on run.test_id = known.test_id and {IN_BATCH}
        where batch.source_id = known.source_id
        group by batch.plan having bool_or(run.result = 1) and bool_or(run.result = 2)
    )
)
update test_on_patch known set is_split = true from split
where known.source_id = split.source_id and known.test_id = split.test_id
"""  # noqa: S608 -- the same


@dataclass(frozen=True)
class RunAgain:
    """How often a test was run again on patches, and how long that took."""

    reruns: int = 0
    took_ms: int = 0


def note(session: Session, batch_ids: Sequence[int]) -> None:
    """Once for each batch, as it is summed up."""
    session.execute(text(NOTE), {"ids": batch_ids, "most": FAILED_MAX})
    session.execute(text(FIND_SPLITS), {"ids": batch_ids, "batches": BATCHES_MAX})


def take_out(session: Session, batch_id: int) -> None:
    """Before a batch is replaced."""
    session.execute(text(TAKE_OUT), {"ids": [batch_id]})


def worst(session: Session, project_id: UUID, *, since: date, limit: int) -> list[int]:
    """Tests that both passed and failed on one source, or passed after being run again."""
    split = func.count().filter(TestOnPatch.is_split)
    evidence = split + func.sum(TestOnPatch.flaky)
    found = select(TestOnPatch.test_id).where(TestOnPatch.project_id == project_id, TestOnPatch.day >= since)
    told = found.group_by(TestOnPatch.test_id).having(evidence > 0)
    return list(session.execute(told.order_by(evidence.desc(), TestOnPatch.test_id).limit(limit)).scalars())


def run_again(
    session: Session, project_id: UUID, tests: Collection[int], *, since: date
) -> dict[int, RunAgain]:
    sums = (func.sum(TestOnPatch.reruns), func.sum(TestOnPatch.rerun_ms))
    found = select(TestOnPatch.test_id, *sums).where(
        TestOnPatch.project_id == project_id, TestOnPatch.day >= since, TestOnPatch.test_id.in_(tests)
    )
    rows = session.execute(found.group_by(TestOnPatch.test_id))
    return {row[0]: RunAgain(int(row[1]), int(row[2])) for row in rows}


def forget(session: Session, project_id: UUID, *, before: date) -> None:
    """Nobody looks so far back."""
    session.execute(delete(TestOnPatch).where(TestOnPatch.project_id == project_id, TestOnPatch.day < before))
