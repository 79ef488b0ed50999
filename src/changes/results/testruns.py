"""Tests into rows, in bulk: names once per project, runs by COPY, words only where one did not pass.

All runs of a step are one batch and have numbers in one range. So a run needs to say neither its step nor
its build, and those of a build lie together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from struct import Struct
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import ColumnElement, and_, delete, func, select, text
from sqlalchemy.orm import Session

from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import causes, run_numbers, statistics, testdays
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestBatch, TestMessage, TestRun

# What the column holds.
RERUNS_MAX = 2**15 - 1
# Digests travel as one text: an array of ten thousand takes psycopg as long as all the rest.
IDENTITIES = """
select array_agg(test.id order by asked.place)
from unnest(string_to_array(%s, ',')) with ordinality as asked (sha, place)
left join test on test.project_id = %s and test.name_sha = asked.sha
"""
# In the order of their digests, so that two reports of the same tests cannot wait for each other in a circle.
NEW_TESTS = """
insert into test (project_id, name_sha, name, owner)
select %(project)s::uuid, new.* from unnest(%(shas)s::text[], %(names)s::text[], %(owners)s::text[]) as new
order by 2
on conflict (project_id, name_sha) do nothing
"""
NEW_OWNERS = """
update test set owner = told.owner from unnest(%s::int[], %s::text[]) as told (id, owner)
where test.id = told.id and test.owner is distinct from told.owner
"""
RESULTS: dict[str, int] = {result.name.lower(): int(result) for result in Result}
# One run as COPY wants it in binary: the number of its columns, and before each value how long it is. Packed
# at once, because a call for each row costs more than the row.
COLUMNS = "id, test_id, duration_ms, result, reruns"
MEASURED_RUN = Struct(">hiqiiiiihih")
UNMEASURED_RUN = Struct(">hiqiiiihih")
COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
NULL = -1

# Whether a build is of a commit is asked once, for its tests are told of for ever.
OF_STEP = """
select job.build_id, source.patch_id is null, statement_timestamp(), nextval('test_batch_serial')
from job join build on build.id = job.build_id join source on source.id = build.source_id
where job.id = %s
"""
REPLACED = select(JobStep.id).where(JobStep.id == TestBatch.step_id, JobStep.replacement_id.is_not(None))
Connection = psycopg.Connection[tuple[object, ...]]


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
        copy_messages(connection, first, tests, causes.assign(connection, batch, tests))
    statistics.record(session, step, build_id, statistics.of_tests(tests))


def forget(session: Session, step_id: UUID) -> None:
    mine = select(TestBatch).where(TestBatch.step_id == step_id)
    batch = session.execute(mine).scalar_one_or_none()
    if batch is None:
        return
    if batch.is_summed_up:
        testdays.take_out(session, batch.id)
    causes.forget(session, batch)
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


def identities(connection: Connection, project_id: UUID, tests: Sequence[TestSeen]) -> list[int]:
    """The id of each test, in their order; new names get one. Most are known, and only read."""
    shas = [test.sha1 for test in tests]
    found = known_tests(connection, project_id, shas)
    if None in found:
        new = [(sha, test) for sha, test, known in zip(shas, tests, found, strict=True) if known is None]
        write_tests(connection, project_id, new)
        found = known_tests(connection, project_id, shas)
    ids = [test_id for test_id in found if test_id is not None]
    learn_owners(connection, tests, ids)
    return ids


def known_tests(connection: Connection, project_id: UUID, shas: list[str]) -> list[int | None]:
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        row = cursor.execute(IDENTITIES, [",".join(shas), project_id]).fetchone()
    found: list[int | None] = row[0] if row else []
    return found


def write_tests(connection: Connection, project_id: UUID, new: list[tuple[str, TestSeen]]) -> None:
    connection.execute(
        NEW_TESTS,
        {
            "project": project_id,
            "shas": [sha for sha, _ in new],
            "names": [test.name for _, test in new],
            "owners": [test.owner for _, test in new],
        },
    )


def learn_owners(connection: Connection, tests: Sequence[TestSeen], ids: Sequence[int]) -> None:
    """Who was told once stays the owner until another one is told."""
    told = sorted((test_id, test.owner) for test_id, test in zip(ids, tests, strict=True) if test.owner)
    if told:
        connection.execute(NEW_OWNERS, [[test_id for test_id, _ in told], [owner for _, owner in told]])


def copy_runs(connection: Connection, first: int, tests: Sequence[TestSeen], test_ids: Sequence[int]) -> None:
    statement = f"copy test_run ({COLUMNS}) from stdin (format binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(packed(first, tests, test_ids))


def copy_messages(
    connection: Connection, first: int, tests: Sequence[TestSeen], cause_ids: Mapping[int, int]
) -> None:
    statement = "copy test_message (run_id, text, cause_id) from stdin (format binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int8", "text", "int4"])
        for place, test in enumerate(tests):
            if test.message and test.result != "passed":
                copy.write_row((first + place, test.message, cause_ids.get(place)))


def packed(first: int, tests: Sequence[TestSeen], test_ids: Sequence[int]) -> bytes:
    rows = [COPY_BEGIN]
    for run_id, (test, test_id) in enumerate(zip(tests, test_ids, strict=True), first):
        result, reruns = RESULTS[test.result], min(test.reruns, RERUNS_MAX)
        if test.duration_ms is None:
            row = UNMEASURED_RUN.pack(5, 8, run_id, 4, test_id, NULL, 2, result, 2, reruns)
        else:
            row = MEASURED_RUN.pack(5, 8, run_id, 4, test_id, 4, test.duration_ms, 2, result, 2, reruns)
        rows.append(row)
    return b"".join([*rows, COPY_END])


def is_in_batch() -> ColumnElement[bool]:
    """What joins a run to its batch: a range, which finds the runs of a batch by their key.

    That the number of its batch is in each number is said too: of a range the database believes that it is a
    ninth of the table, and reads all of some other one rather than look a hundred million times.
    """
    return and_(TestRun.id >= TestBatch.id, TestRun.id < TestBatch.end_id, is_batch_of_run())


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
