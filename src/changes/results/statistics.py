"""Numbers about steps, and their sums for jobs and builds. Always recomputed, never added to."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from changes.builds.models import Job, JobStep
from changes.results.formats.junit import TestSeen
from changes.results.models import ItemStat

SUM_UP = """
insert into item_stat (item_id, name, value)
select :item_id, stat.name, sum(stat.value)
from item_stat stat join job_step step on step.id = stat.item_id
where step.replacement_id is null and step.job_id in ({jobs})
group by stat.name
on conflict (item_id, name) do update set value = excluded.value
"""


def of_tests(tests: Sequence[TestSeen]) -> dict[str, int]:
    return {
        "test_count": len(tests),
        "test_failures": sum(test.result == "failed" for test in tests),
        "test_duration": sum(test.duration_ms or 0 for test in tests),
        "test_rerun_count": sum(test.reruns > 0 for test in tests),
    }


def record(session: Session, step: JobStep, build_id: UUID, numbers: Mapping[str, int]) -> None:
    """Under the build's lock, so that two steps that end together both count."""
    session.execute(delete(ItemStat).where(ItemStat.item_id == step.id))
    session.add_all(ItemStat(item_id=step.id, name=name, value=value) for name, value in numbers.items())
    session.flush()
    sum_up_job(session, step.job_id)
    sum_up_build(session, build_id)


def leave_out(session: Session, step_ids: Collection[UUID]) -> None:
    """Steps are done again: what they were counted with counts no more. Under the build's lock."""
    session.flush()
    counted = select(ItemStat.item_id).where(ItemStat.item_id == JobStep.id).exists()
    mine = select(JobStep.job_id, Job.build_id).join(Job, Job.id == JobStep.job_id)
    rows = session.execute(mine.where(JobStep.id.in_(step_ids), counted).distinct()).all()
    job_ids, build_ids = {row.job_id for row in rows}, {row.build_id for row in rows}
    session.execute(delete(ItemStat).where(ItemStat.item_id.in_(job_ids | build_ids)))
    for job_id in sorted(job_ids):
        sum_up_job(session, job_id)
    for build_id in sorted(build_ids):
        sum_up_build(session, build_id)


def sum_up_job(session: Session, job_id: UUID) -> None:
    session.execute(text(SUM_UP.format(jobs=":job_id")), {"item_id": job_id, "job_id": job_id})


def sum_up_build(session: Session, build_id: UUID) -> None:
    of_build = "select id from job where build_id = :build_id"
    session.execute(text(SUM_UP.format(jobs=of_build)), {"item_id": build_id, "build_id": build_id})


def of_items(session: Session, item_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    numbers: dict[UUID, dict[str, int]] = {item_id: {} for item_id in item_ids}
    for stat in session.execute(select(ItemStat).where(ItemStat.item_id.in_(item_ids))).scalars():
        numbers[stat.item_id][stat.name] = stat.value
    return numbers
