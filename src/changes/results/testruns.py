"""Tests into rows, in bulk: names once per project, runs by COPY, words only where one did not pass.

All runs of a step are one batch and have numbers in one range. So a run needs to say neither its step nor
its build, and those of a build lie together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count, repeat
from struct import Struct
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import ColumnElement, and_, delete, func, select, text
from sqlalchemy.orm import Session

from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import causes, identities, run_numbers, statistics, testdays
from changes.results.fingerprints import Print
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestBatch, TestMessage, TestRun

# What the column holds.
RERUNS_MAX = 2**15 - 1
RESULTS: dict[str, int] = {result.name.lower(): int(result) for result in Result}
# One run as COPY wants it in binary: the number of its columns, and before each value how long it is. Packed
# at once, because a call for each row costs more than the row.
COLUMNS = "id, test_id, duration_ms, result, reruns"
MEASURED_RUN = Struct(">hiqiiiiihih")
UNMEASURED_RUN = Struct(">hiqiiiihih")
COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
# As much as fits into the socket, so that writing it hardly waits.
PACKED_AT_ONCE = 1000
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
        test_ids = identities.numbers_of(session, step.project_id, tests)
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
        prints = copy_runs(connection, first, tests, test_ids)
        copy_messages(connection, first, tests, causes.assign(connection, batch, prints))
    statistics.record(session, step, build_id, statistics.of_tests(tests))


def forget(session: Session, step_id: UUID) -> None:
    # Whoever sums up the day just now is waited for: what he has summed up is known then.
    mine = select(TestBatch).where(TestBatch.step_id == step_id).with_for_update()
    batch = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    if batch is None:
        return
    if batch.is_summed_up:
        testdays.take_out(session, batch.id)
    causes.forget(session, batch)
    its_runs = and_(TestRun.id.between(batch.id, batch.end_id - 1), batch_number() == batch.id)
    session.execute(delete(TestRun).where(its_runs))
    session.execute(delete(TestMessage).where(TestMessage.run_id.between(batch.id, batch.end_id - 1)))
    session.delete(batch)
    session.flush()


def of_step(connection: Connection, step: JobStep) -> tuple[UUID, bool, datetime, int]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(OF_STEP, [step.job_id]).fetchone()
    if found is None:
        raise LookupError(f"job {step.job_id} is gone")
    return found


def copy_runs(
    connection: Connection, first: int, tests: Sequence[TestSeen], test_ids: Sequence[int]
) -> dict[int, Print]:
    """In parts: while the database is busy with the rows of one, what its failures have in common is looked
    for and the next ones are packed.
    """
    statement = f"copy test_run ({COLUMNS}) from stdin (format binary)"
    prints: dict[int, Print] = {}
    looked_at: dict[str, Print | None] = {}
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(COPY_BEGIN)
        for begin in range(0, len(tests), PACKED_AT_ONCE):
            part = tests[begin : begin + PACKED_AT_ONCE]
            copy.write(packed(first + begin, part, test_ids[begin : begin + PACKED_AT_ONCE]))
            found = causes.prints_of(part, looked_at)
            prints.update((begin + place, each) for place, each in found.items())
        copy.write(COPY_END)
    return prints


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
    results = [RESULTS[test.result] for test in tests]
    reruns = [min(test.reruns, RERUNS_MAX) if test.reruns else 0 for test in tests]
    durations_ms = [test.duration_ms for test in tests]
    # Column by column, because a loop over the rows takes twice as long.
    known = (repeat(8), count(first), repeat(4), test_ids)
    told = (repeat(4), [each or 0 for each in durations_ms], repeat(2), results, repeat(2), reruns)
    rows = list(map(MEASURED_RUN.pack, repeat(5), *known, *told))
    if None in durations_ms:
        for place, duration_ms in enumerate(durations_ms):
            if duration_ms is None:
                untimed = (8, first + place, 4, test_ids[place], NULL, 2, results[place], 2, reruns[place])
                rows[place] = UNMEASURED_RUN.pack(5, *untimed)
    return b"".join(rows)


def is_in_batch() -> ColumnElement[bool]:
    """What joins a run to its batch: the number of it, by which the runs of a batch are found, and that they
    are in a range, which leaves all months but one out of sight.
    """
    return and_(TestRun.id >= TestBatch.id, TestRun.id < TestBatch.end_id, is_batch_of_run())


def is_batch_of_run() -> ColumnElement[bool]:
    """The same from the other side: one batch for a run that is known."""
    return TestBatch.id == batch_number()


def batch_number() -> ColumnElement[int]:
    """Of a run, as the index has it. A range of numbers alone is found by no index."""
    return TestRun.id.op("&")(text(str(run_numbers.BATCH_MASK)))


def is_run(number: int) -> ColumnElement[bool]:
    """One that is known by nothing but its number."""
    return TestRun.id == number


def of_build(build_id: UUID) -> ColumnElement[bool]:
    """Its batches, and of runs those that could be its: the months before it stay out of sight, which halves
    what a question costs where there are many.
    """
    least = run_numbers.least_of_build(build_id)
    return and_(TestBatch.build_id == build_id, TestRun.id >= text(str(least)))


def of_newest_attempt() -> ColumnElement[bool]:
    """What an attempt found before the step was done again is history."""
    return ~REPLACED.exists()


def counts_of_build(session: Session, build_id: UUID) -> dict[Result, int]:
    found = (
        select(TestRun.result, func.count())
        .join(TestBatch, is_in_batch())
        .where(of_build(build_id), of_newest_attempt())
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
        .where(of_build(build_id), TestRun.result == Result.FAILED, of_newest_attempt())
        .order_by(Test.name, TestRun.id)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(found)]


def messages(session: Session, run_ids: Sequence[int]) -> dict[int, str]:
    found = select(TestMessage.run_id, TestMessage.text).where(TestMessage.run_id.in_(run_ids))
    return {row[0]: row[1] for row in session.execute(found)}
