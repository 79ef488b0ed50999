"""Tests into rows, in bulk: names once per project, runs by COPY, words only where one did not pass.

All runs of a step are one batch and have numbers in one range. So a run needs to say neither its step nor
its build, and those of a build lie together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import ColumnElement, and_, delete, func, select, text
from sqlalchemy.orm import Session

from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import run_numbers, statistics, testdays
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestBatch, TestMessage, TestRun

# What the column holds.
RERUNS_MAX = 2**15 - 1
NEW_TESTS = """
insert into test (project_id, name_sha, name, owner)
select %(project)s::uuid, new.* from unnest(%(shas)s::text[], %(names)s::text[], %(owners)s::text[]) as new
order by 2
on conflict (project_id, name_sha) do update set owner = excluded.owner
where excluded.owner is not null and test.owner is distinct from excluded.owner
"""


# Whether a build is of a commit is asked once, for its tests are told of for ever.
OF_STEP = """
select job.build_id, source.patch_id is null, statement_timestamp(), nextval('test_batch_serial')
from job join build on build.id = job.build_id join source on source.id = build.source_id
where job.id = %s
"""
REPLACED = select(JobStep.id).where(JobStep.id == TestBatch.step_id, JobStep.replacement_id.is_not(None))
Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class KnownTest:
    id: int
    owner: str | None


def store(session: Session, step: JobStep, tests: Sequence[TestSeen]) -> None:
    """Replaces what was stored for the step, so that storing twice is storing once."""
    forget(session, step.id)
    session.flush()
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("results need a psycopg connection")
    build_id, is_of_commit, now, serial = of_step(connection, step)
    if tests:
        test_ids = identities(connection, step.project_id, tests)
        first = run_numbers.batch(now, serial)
        batch = TestBatch(
            id=first,
            end_id=first + len(tests),
            step_id=step.id,
            job_id=step.job_id,
            build_id=build_id,
            project_id=step.project_id,
            date_created=now,
            is_of_commit=is_of_commit,
        )
        session.add(batch)
        session.flush()
        copy_runs(connection, first, tests, test_ids)
    statistics.record(session, step, build_id, statistics.of_tests(tests))


def forget(session: Session, step_id: UUID) -> None:
    mine = select(TestBatch).where(TestBatch.step_id == step_id)
    batch = session.execute(mine).scalar_one_or_none()
    if batch is None:
        return
    if batch.is_summed_up:
        testdays.take_out(session, batch.id)
    session.execute(delete(TestRun).where(TestRun.id.between(batch.id, batch.end_id - 1)))
    session.execute(delete(TestMessage).where(TestMessage.run_id.between(batch.id, batch.end_id - 1)))
    session.delete(batch)
    session.flush()


def of_step(connection: Connection, step: JobStep) -> tuple[UUID, bool, datetime, int]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(OF_STEP, [step.job_id]).fetchone()
    if found is None:
        raise LookupError(f"job {step.job_id} is gone")
    return found


def identities(connection: Connection, project_id: UUID, tests: Sequence[TestSeen]) -> dict[str, int]:
    """The id of each test by the digest of its name; new names get one. Most are known, and only read."""
    shas = [test.sha1 for test in tests]
    known = known_tests(connection, project_id, shas)
    told = [
        (sha, test)
        for sha, test in zip(shas, tests, strict=True)
        if sha not in known or (test.owner is not None and test.owner != known[sha].owner)
    ]
    if told:
        write_tests(connection, project_id, told)
        known |= known_tests(connection, project_id, [sha for sha, _ in told])
    return {sha: each.id for sha, each in known.items()}


def known_tests(connection: Connection, project_id: UUID, shas: list[str]) -> dict[str, KnownTest]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "select name_sha, id, owner from test where project_id = %s and name_sha = any(%s)",
            [project_id, shas],
        )
        return {sha: KnownTest(test_id, owner) for sha, test_id, owner in cursor}


def write_tests(connection: Connection, project_id: UUID, told: list[tuple[str, TestSeen]]) -> None:
    connection.execute(
        NEW_TESTS,
        {
            "project": project_id,
            "shas": [sha for sha, _ in told],
            "names": [test.name for _, test in told],
            "owners": [test.owner for _, test in told],
        },
    )


def copy_runs(
    connection: Connection, first: int, tests: Sequence[TestSeen], test_ids: dict[str, int]
) -> None:
    columns = "id, test_id, duration_ms, result, reruns"
    with connection.cursor() as cursor:
        with cursor.copy(f"copy test_run ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["int8", "int4", "int4", "int2", "int2"])
            for run_id, test in enumerate(tests, first):
                result = int(Result[test.result.upper()])
                reruns = min(test.reruns, RERUNS_MAX)
                copy.write_row((run_id, test_ids[test.sha1], test.duration_ms, result, reruns))
        with cursor.copy("copy test_message (run_id, text) from stdin (format binary)") as copy:
            copy.set_types(["int8", "text"])
            for run_id, test in enumerate(tests, first):
                if test.message and test.result != "passed":
                    copy.write_row((run_id, test.message))


def is_in_batch() -> ColumnElement[bool]:
    """What joins a run to its batch: a range, which finds the runs of a batch by their key."""
    return and_(TestRun.id >= TestBatch.id, TestRun.id < TestBatch.end_id)


def is_batch_of_run() -> ColumnElement[bool]:
    """The same from the other side: one batch for a run that is known."""
    return TestBatch.id == TestRun.id.op("&")(text(str(run_numbers.BATCH_MASK)))


def of_newest_attempt() -> ColumnElement[bool]:
    """What an attempt found before the step was done again is history."""
    return ~REPLACED.exists()


def counts_of_build(session: Session, build_id: UUID) -> dict[Result, int]:
    found = (
        select(TestRun.result, func.count())
        .join(TestBatch, is_in_batch())
        .where(TestBatch.build_id == build_id, of_newest_attempt())
        .group_by(TestRun.result)
    )
    return {row[0]: row[1] for row in session.execute(found)}


def failures_of_build(
    session: Session, build_id: UUID, *, limit: int
) -> list[tuple[TestRun, Test, TestBatch]]:
    """By name, so that two looks at the same build show the same order."""
    found = (
        select(TestRun, Test, TestBatch)
        .join(Test, Test.id == TestRun.test_id)
        .join(TestBatch, is_in_batch())
        .where(TestBatch.build_id == build_id, TestRun.result == Result.FAILED, of_newest_attempt())
        .order_by(Test.name, TestRun.id)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(found)]


def messages(session: Session, run_ids: Sequence[int]) -> dict[int, str]:
    found = select(TestMessage.run_id, TestMessage.text).where(TestMessage.run_id.in_(run_ids))
    return {row[0]: row[1] for row in session.execute(found)}
