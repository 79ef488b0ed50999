"""Tests into rows, in bulk: names once per project, runs by COPY, words only where one did not pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.builds.models import Job, JobStep
from changes.builds.rules import Result
from changes.results import statistics
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestRun

NEW_TESTS = """
insert into test (id, project_id, name_sha, name, owner, date_created)
select * from unnest(
    %(ids)s::uuid[], %(projects)s::uuid[], %(shas)s::text[], %(names)s::text[], %(owners)s::text[],
    %(dates)s::timestamptz[]
) as new order by 3
on conflict (project_id, name_sha) do update set owner = excluded.owner
where excluded.owner is not null and test.owner is distinct from excluded.owner
"""


@dataclass(frozen=True, slots=True)
class KnownTest:
    id: UUID
    owner: str | None


def store(session: Session, step: JobStep, tests: Sequence[TestSeen]) -> None:
    """Replaces what was stored for the step, so that storing twice is storing once."""
    session.execute(delete(TestRun).where(TestRun.step_id == step.id))
    if tests:
        session.flush()
        connection = session.connection().connection.driver_connection
        if not isinstance(connection, psycopg.Connection):
            raise TypeError("results need a psycopg connection")
        test_ids = identities(connection, step.project_id, tests)
        copy_runs(connection, step, tests, test_ids)
    build_id = session.execute(select(Job.build_id).where(Job.id == step.job_id)).scalar_one()
    statistics.record(session, step, build_id, statistics.of_tests(tests))


def identities(
    connection: psycopg.Connection[tuple[object, ...]], project_id: UUID, tests: Sequence[TestSeen]
) -> dict[str, UUID]:
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


def known_tests(
    connection: psycopg.Connection[tuple[object, ...]], project_id: UUID, shas: list[str]
) -> dict[str, KnownTest]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "select name_sha, id, owner from test where project_id = %s and name_sha = any(%s)",
            [project_id, shas],
        )
        return {sha: KnownTest(test_id, owner) for sha, test_id, owner in cursor}


def write_tests(
    connection: psycopg.Connection[tuple[object, ...]], project_id: UUID, told: list[tuple[str, TestSeen]]
) -> None:
    now = clock.now()
    connection.execute(
        NEW_TESTS,
        {
            "ids": [ids.new() for _ in told],
            "projects": [project_id] * len(told),
            "shas": [sha for sha, _ in told],
            "names": [test.name for _, test in told],
            "owners": [test.owner for _, test in told],
            "dates": [now] * len(told),
        },
    )


def copy_runs(
    connection: psycopg.Connection[tuple[object, ...]],
    step: JobStep,
    tests: Sequence[TestSeen],
    test_ids: dict[str, UUID],
) -> None:
    run_ids = [ids.new() for _ in tests]
    with connection.cursor() as cursor:
        columns = "id, test_id, job_id, step_id, result, duration_ms, reruns"
        with cursor.copy(f"copy test_run ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["uuid", "uuid", "uuid", "uuid", "int2", "int4", "int4"])
            for run_id, test in zip(run_ids, tests, strict=True):
                result = int(Result[test.result.upper()])
                row = (
                    run_id,
                    test_ids[test.sha1],
                    step.job_id,
                    step.id,
                    result,
                    test.duration_ms,
                    test.reruns,
                )
                copy.write_row(row)
        with cursor.copy("copy test_message (run_id, text) from stdin (format binary)") as copy:
            copy.set_types(["uuid", "text"])
            for run_id, test in zip(run_ids, tests, strict=True):
                if test.message and test.result != "passed":
                    copy.write_row((run_id, test.message))


def of_newest_attempt() -> ColumnElement[bool]:
    """What an attempt found before the step was done again is history."""
    is_superseded = select(JobStep.id).where(
        JobStep.id == TestRun.step_id, JobStep.replacement_id.is_not(None)
    )
    return ~is_superseded.exists()


def counts_of_build(session: Session, build_id: UUID) -> dict[Result, int]:
    found = (
        select(TestRun.result, func.count())
        .join(Job, Job.id == TestRun.job_id)
        .where(Job.build_id == build_id, of_newest_attempt())
        .group_by(TestRun.result)
    )
    return {row[0]: row[1] for row in session.execute(found)}


def failures_of_build(session: Session, build_id: UUID, *, limit: int) -> list[tuple[TestRun, Test]]:
    """By name, so that two looks at the same build show the same order."""
    found = (
        select(TestRun, Test)
        .join(Test, Test.id == TestRun.test_id)
        .join(Job, Job.id == TestRun.job_id)
        .where(Job.build_id == build_id, TestRun.result == Result.FAILED, of_newest_attempt())
        .order_by(Test.name)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(found)]


def messages(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = session.execute(
        text("select run_id, text from test_message where run_id = any(:ids)"), {"ids": run_ids}
    )
    return {row[0]: row[1] for row in rows}
