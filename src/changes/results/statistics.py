"""Numbers about steps, and their sums for jobs and builds. Always recomputed, never added to."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from changes.builds.models import Job, JobStep
from changes.results.formats.junit import TestSeen
from changes.results.models import ItemStat

# Steps tell of the same lines again: what these are of a job or build is not the sum of its steps, but is
# counted where their reports are put together (coverage/making.py).
MERGED = ("lines_covered", "lines_uncovered", "diff_lines_covered", "diff_lines_uncovered")
SUM_UP = """
insert into item_stat (item_id, name, value)
select :item_id, stat.name, sum(stat.value)
from item_stat stat join job_step step on step.id = stat.item_id
where step.replacement_id is null and step.job_id in ({jobs})
    and not stat.name = any(:merged)
group by stat.name
on conflict (item_id, name) do update set value = excluded.value
"""


def of_tests(tests: Sequence[TestSeen]) -> dict[str, int]:
    return {
        "test_count": len(tests),
        "test_failures": [test.result for test in tests].count("failed"),
        "test_duration": sum([test.duration_ms or 0 for test in tests]),
        "test_rerun_count": sum([test.reruns > 0 for test in tests]),
    }


def record(session: Session, step: JobStep, build_id: UUID, numbers: Mapping[str, int]) -> None:
    """Under the build's lock, so that two steps that end together both count."""
    mine = ItemStat.item_id == step.id
    session.execute(delete(ItemStat).where(mine, ItemStat.name.not_in(MERGED)))
    session.add_all(ItemStat(item_id=step.id, name=name, value=value) for name, value in numbers.items())
    session.flush()
    sum_up_job(session, step.job_id)
    sum_up_build(session, build_id)


def put_coverage(
    session: Session, item_ids: Collection[UUID], numbers: Mapping[UUID, Mapping[str, int]]
) -> None:
    """What is not among the numbers is not known of these items any more. Under the build's lock."""
    mine = ItemStat.item_id.in_(item_ids)
    session.execute(delete(ItemStat).where(mine, ItemStat.name.in_(MERGED)))
    for item_id, known in numbers.items():
        session.add_all(ItemStat(item_id=item_id, name=name, value=value) for name, value in known.items())
    session.flush()


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
    values = {"item_id": job_id, "job_id": job_id, "merged": list(MERGED)}
    session.execute(text(SUM_UP.format(jobs=":job_id")), values)


def sum_up_build(session: Session, build_id: UUID) -> None:
    of_build = "select id from job where build_id = :build_id"
    values = {"item_id": build_id, "build_id": build_id, "merged": list(MERGED)}
    session.execute(text(SUM_UP.format(jobs=of_build)), values)


def of_items(session: Session, item_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    numbers: dict[UUID, dict[str, int]] = {item_id: {} for item_id in item_ids}
    for stat in session.execute(select(ItemStat).where(ItemStat.item_id.in_(item_ids))).scalars():
        numbers[stat.item_id][stat.name] = stat.value
    return numbers
