"""What may safely be mended: what follows from rows is made anew of them, nothing else."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.app.doctor import queue, work_sums
from changes.base.db import Database
from changes.builds import settle
from changes.results import run_numbers, statistics, testdays

LAST_BUILD_NUMBERS = """
update project set last_build_number = counted.highest
from (select project_id, max(number) as highest from build group by project_id) counted
where counted.project_id = project.id and last_build_number < counted.highest
"""
LAST_JOB_NUMBERS = """
update build set last_job_number = counted.highest
from (select build_id, max(number) as highest from job group by build_id) counted
where counted.build_id = build.id and last_job_number < counted.highest
"""
OF_PHASE = """
select job.build_id from job join job_phase on job_id = job.id where job_phase.id = cast(:id as uuid)
"""
OF_STEP = """
select job.build_id from job join job_step on job_id = job.id where job_step.id = cast(:id as uuid)
"""
BUILD_OF = {
    "build": "select id from build where id = cast(:id as uuid)",
    "job": "select build_id from job where id = cast(:id as uuid)",
    "phase": OF_PHASE,
    "step": OF_STEP,
}
# None is a tally that nobody knows: whoever needs it next makes it from the rows.
FORGET_TALLY = "update build set tally = null where id = :build_id"
FORGET_TALLIES_OF_JOBS = "update job set tally = null where build_id = :build_id"
FORGET_TALLIES_OF_PHASES = """
update job_phase set tally = null from job where job.id = job_id and job.build_id = :build_id
"""
TESTS_OF_STEPS = """
update item_stat set value = (
    select count(*) from test_run run join test_batch batch
        on run.id >= batch.id and run.id < batch.end_id and run.id & :batch_mask = batch.id
    where step_id = item_id and (item_stat.name = 'test_count' or run.result = 2)
)
where name in ('test_count', 'test_failures') and item_id in (
    select job_step.id from job_step join job on job.id = job_id where build_id = :build_id
)
"""
OF_BUILD = (FORGET_TALLY, FORGET_TALLIES_OF_JOBS, FORGET_TALLIES_OF_PHASES, TESTS_OF_STEPS)


def mend(database: Database, names: list[str]) -> int:
    """Of the builds that what was named belongs to; how many there were. One transaction for each."""
    with database.transaction() as session:
        for statement in (LAST_BUILD_NUMBERS, LAST_JOB_NUMBERS):
            session.execute(text(statement))
        queue.mend(session)
        testdays.count_anew(session)
        work_sums.mend(session)
        build_ids = {build_id for name in names for build_id in builds_of(session, name)}
    for build_id in sorted(build_ids):
        with database.transaction() as session:
            # Whoever changes anything of a build holds this lock, so nothing is counted while it changes.
            settle.lock_build(session, build_id)
            count_anew(session, build_id)
    return len(build_ids)


def builds_of(session: Session, name: str) -> list[UUID]:
    """`step 01a1...`; `item` may be a job or a build, and anything else is of no build."""
    kind, _, rest = name.partition(" ")
    item_id = rest.partition(" ")[0]
    kinds = ("job", "build") if kind == "item" else (kind,)
    questions = [BUILD_OF[each] for each in kinds if each in BUILD_OF]
    return [row for ask in questions for row in session.execute(text(ask), {"id": item_id}).scalars()]


def count_anew(session: Session, build_id: UUID) -> None:
    for statement in OF_BUILD:
        session.execute(text(statement), {"build_id": build_id, "batch_mask": run_numbers.BATCH_MASK})
    for job_id in session.execute(
        text("select id from job where build_id = :id"), {"id": build_id}
    ).scalars():
        statistics.sum_up_job(session, job_id)
    statistics.sum_up_build(session, build_id)
