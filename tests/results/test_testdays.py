from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base.db import Database
from changes.builds.models import JobStep
from changes.results import flaky_days, models, testdays, testruns, tests_of_project
from changes.results.formats import junit

PASSED = junit.TestSeen("a.works", "a", "passed", duration_ms=12)
AGAIN = junit.TestSeen("a.works", "a", "passed", duration_ms=30, reruns=2)
FAILED = junit.TestSeen("a.works", "a", "failed")


@pytest.fixture
def steps(session: Session) -> list[JobStep]:
    project = factories.a_project(session)
    return [agents.a_taken_step(session, factories.a_build(session, project)) for _ in range(3)]


def days(session: Session) -> list[dict[str, Any]]:
    rows = session.execute(
        select(models.TestDay)
        .join(models.Test, models.Test.id == models.TestDay.test_id)
        .order_by(models.Test.name)
    )
    names = (
        "runs",
        "passed",
        "failed",
        "flaky",
        "double_reruns",
        "reruns",
        "measured",
        "duration_ms",
        "longest_ms",
    )
    session.expire_all()
    return [{name: getattr(day, name) for name in names} for day in rows.scalars()]


def trend(session: Session, step: JobStep) -> list[tests_of_project.DayOfTests]:
    return tests_of_project.trend(session, step.project_id, until=datetime.now(UTC).date())


def test_the_runs_of_a_day_are_summed_up_for_each_test(session: Session, steps: list[JobStep]) -> None:
    for step, seen in zip(steps, (PASSED, AGAIN, FAILED), strict=True):
        testruns.store(session, step, [seen])

    assert testdays.sum_up(session) == 3

    assert days(session) == [
        {
            "runs": 3,
            "passed": 2,
            "failed": 1,
            "flaky": 1,
            "double_reruns": 1,
            "reruns": 2,
            "measured": 2,
            "duration_ms": 42,
            "longest_ms": 30,
        }
    ]


def test_all_tests_of_a_project_are_summed_up_day_by_day(session: Session, steps: list[JobStep]) -> None:
    other = junit.TestSeen("a.rests", "a", "skipped", duration_ms=1)
    for step, seen in zip(steps, ([PASSED], [AGAIN, other], [FAILED]), strict=True):
        testruns.store(session, step, seen)

    testdays.sum_up(session)

    (day,) = trend(session, steps[0])
    assert (day.tests, day.runs, day.passed, day.failed) == (2, 4, 2, 1)
    assert (day.flaky, day.double_reruns, day.duration_ms) == (1, 1, 43)


def test_a_test_that_runs_twice_on_a_day_is_one_test_of_it(session: Session, steps: list[JobStep]) -> None:
    for step in steps:
        testruns.store(session, step, [PASSED])
        testdays.sum_up(session)

    (day,) = trend(session, steps[0])

    assert (day.tests, day.runs) == (1, 3)


def test_days_on_which_a_test_was_flaky_stand_apart_as_they_are_now(
    session: Session, steps: list[JobStep]
) -> None:
    told = []
    for seen in (PASSED, AGAIN, FAILED):
        testruns.store(session, steps[1], [seen])
        testdays.sum_up(session)
        session.expire_all()
        rows = session.execute(select(models.TestFlakyDay)).scalars()
        told.append([(row.flaky, row.double_reruns, row.passed, row.reruns) for row in rows])

    assert told == [[], [(1, 1, 1, 2)], [(0, 0, 0, 0)]]


def test_a_flaky_day_tells_its_newest_flaky_run_until_the_report_of_that_is_taken_back(
    session: Session, steps: list[JobStep]
) -> None:
    told, numbers = [], []
    for step, seen in ((steps[0], AGAIN), (steps[1], PASSED), (steps[2], AGAIN), (steps[2], PASSED)):
        testruns.store(session, step, [seen])
        testdays.sum_up(session)
        session.expire_all()
        mine = select(models.TestBatch.id).where(models.TestBatch.step_id == step.id)
        numbers.append(session.execute(mine).scalar_one())
        told.append(session.execute(select(models.TestFlakyDay.last_run)).scalar_one())

    assert told == [numbers[0], numbers[0], numbers[2], None]


def test_the_newest_flaky_run_of_a_day_is_looked_for_where_it_is_not_known(
    session: Session, steps: list[JobStep]
) -> None:
    testruns.store(session, steps[0], [AGAIN])
    testdays.sum_up(session)
    today = datetime.now(UTC).date()
    known = flaky_days.tests_of_day(session, steps[0].project_id, today)
    session.execute(update(models.TestFlakyDay).values(last_run=None))
    session.expire_all()

    looked_for = flaky_days.tests_of_day(session, steps[0].project_id, today)

    assert known[0].last is not None
    assert looked_for == known


def test_what_was_summed_up_is_not_summed_up_again(session: Session, steps: list[JobStep]) -> None:
    testruns.store(session, steps[0], [PASSED])
    testdays.sum_up(session)
    testruns.store(session, steps[1], [PASSED])

    assert [testdays.sum_up(session), testdays.sum_up(session)] == [1, 0]
    assert [day["runs"] for day in days(session)] == [2]


def test_a_report_that_is_stored_again_counts_once(session: Session, steps: list[JobStep]) -> None:
    testruns.store(session, steps[0], [PASSED])
    testdays.sum_up(session)

    testruns.store(session, steps[0], [FAILED])
    testdays.sum_up(session)

    (day,) = days(session)
    assert (day["runs"], day["passed"], day["failed"], day["duration_ms"]) == (1, 0, 1, 0)
    (whole,) = trend(session, steps[0])
    assert (whole.tests, whole.runs, whole.passed, whole.failed, whole.duration_ms) == (1, 1, 0, 1, 0)


def store_anew(database: Database, step_id: UUID) -> None:
    with database.transaction() as session:
        testruns.store(session, session.get_one(JobStep, step_id), [PASSED])


def is_waited_for(session: Session) -> bool:
    # What pg_stat_activity tells stays as it was until the transaction ends.
    return bool(session.execute(text("select count(*) from pg_locks where not granted")).scalar_one())


def test_a_test_whose_only_report_was_taken_back_is_none_of_the_day(
    session: Session, steps: list[JobStep]
) -> None:
    step = steps[0]
    counts = []
    for names in (("a.one", "a.two"), ("a.one",), ("a.one", "a.two")):
        testruns.store(session, step, [PASSED._replace(name=name) for name in names])
        testdays.sum_up(session)
        counts.append(session.execute(select(models.ProjectDay.tests)).scalar_one())
    testdays.count_anew(session)

    assert counts == [2, 1, 2]
    assert session.execute(select(models.ProjectDay.tests)).scalar_one() == 2


def test_a_report_that_is_stored_again_while_its_day_is_summed_up_counts_once(database: Database) -> None:
    with database.transaction() as session:
        step = agents.a_taken_step(session, factories.a_build(session))
        testruns.store(session, step, [PASSED])
    with ThreadPoolExecutor(1) as worker:
        with database.transaction() as session:
            testdays.sum_up(session)
            storing = worker.submit(store_anew, database, step.id)
            while not storing.done() and not is_waited_for(session):
                wait([storing], timeout=0.01)
        storing.result(agents.DEADLINE_S)

    with database.transaction() as session:
        testdays.sum_up(session)
        assert [day["runs"] for day in days(session)] == [1]


def test_runs_of_a_patch_are_told_of_no_day(session: Session) -> None:
    project = factories.a_project(session)
    source = factories.a_source(
        session, project, sha="a" * 40, patch=b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-o\n+n\n"
    )
    build = factories.a_build(session, project)
    build.source = source
    session.flush()
    testruns.store(session, agents.a_taken_step(session, build), [PASSED])

    assert testdays.sum_up(session) == 1
    assert days(session) == []


def test_a_day_ends_at_midnight_in_greenwich(session: Session, steps: list[JobStep]) -> None:
    for step, hour in zip(steps, (23, 24, 25), strict=True):
        testruns.store(session, step, [PASSED])
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        session.execute(
            update(models.TestBatch).where(models.TestBatch.step_id == step.id).values(date_created=at)
        )
    testdays.sum_up(session)

    found = session.execute(
        select(models.TestDay.day, models.TestDay.runs).order_by(models.TestDay.day)
    ).all()
    assert [tuple(row) for row in found] == [(date(2026, 3, 1), 1), (date(2026, 3, 2), 2)]
