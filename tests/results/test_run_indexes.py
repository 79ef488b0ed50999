"""Nobody reads all runs of a month: each question finds its own by an index."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.web.conftest import first_step

from changes.base import ids
from changes.base.paging import Page, Position
from changes.builds.models import Build
from changes.results import build_tests, cause_queries, flaky_days, models, suite, testdays, testruns
from changes.results.suite import SuiteAsked
from changes.results.verdict_models import FailureCause

ALL_OF_A_MONTH = re.compile(r"Seq Scan on test_run_\d")
Question = Callable[[Session, Build], object]


def failed_run(session: Session, build: Build) -> models.TestRun:
    return testruns.failures_of_build(session, build.id, limit=1)[0][0]


def walk_a_build(session: Session, build: Build) -> None:
    first = suite.runs(session, build.id, Page(1, 1, Position()), SuiteAsked()).rows[0]
    suite.runs(session, build.id, Page(1, 1, Position(after=first.id)), SuiteAsked())


def look_at_one_run(session: Session, build: Build) -> None:
    run_id = failed_run(session, build).outside_id
    suite.run(session, build, run_id)
    suite.test_of_run(session, run_id)
    build_tests.run(session, run_id)


def look_at_a_cause(session: Session, _build: Build) -> None:
    cause = session.execute(select(FailureCause)).scalar_one()
    assert cause_queries.tests_of(session, cause)


QUESTIONS: Mapping[str, Question] = {
    "the counts of a build": lambda session, build: testruns.counts_of_build(session, build.id),
    "the tests of a build": walk_a_build,
    "one run": look_at_one_run,
    "the newest runs of a test": lambda session, build: suite.past_runs(
        session, failed_run(session, build).test_id, limit=5
    ),
    "the tests of a cause": look_at_a_cause,
    "the sums of a day": lambda session, _: testdays.sum_up(session),
    "what is stored anew": lambda session, build: testruns.forget(session, first_step(session, build).id),
}


@pytest.fixture
def build(session: Session) -> Build:
    build = factories.a_build(session)
    tests = [finished.a_test("a.breaks", "failed", message="ValueError: x"), finished.a_test("a.works")]
    finished.report(session, first_step(session, build), tests)
    return build


@pytest.fixture
def plans(session: Session) -> Iterator[list[str]]:
    """How the database would answer each question about runs, were a month too long to be read."""
    found: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if "test_run" in statement:
            cursor.execute(f"explain {statement}", values)
            found.extend(row[0] for row in cursor.fetchall())

    session.execute(text("set local enable_seqscan = off"))
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", explain)
    yield found
    event.remove(connection, "before_cursor_execute", explain)


@pytest.mark.parametrize("name", QUESTIONS)
def test_runs_are_found_by_an_index(session: Session, build: Build, plans: list[str], name: str) -> None:
    QUESTIONS[name](session, build)

    assert any("test_run_" in line for line in plans)
    assert [line for line in plans if ALL_OF_A_MONTH.search(line)] == []


def test_fifty_days_of_flaky_tests_are_told_by_their_index_alone(session: Session) -> None:
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        cursor.execute(f"explain {statement}", values)
        plans.extend(row[0] for row in cursor.fetchall())

    session.execute(text("set local enable_seqscan = off"))
    session.execute(text("set local enable_bitmapscan = off"))
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", explain)
    flaky_days.histories(session, ids.new(), [1, 2], date(2026, 3, 1))
    event.remove(connection, "before_cursor_execute", explain)

    assert any("Index Only Scan using pk_test_flaky_day" in line for line in plans)
