import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids, jobs, storage
from changes.base.task import Task
from changes.builds import queries, reasons
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.results import collect, statistics, testruns
from changes.results import tasks as result_tasks

HALF = b"<testsuite><testcase classname='a' name='works'/><testcase"


@pytest.fixture
def build(session: Session) -> Build:
    return factories.a_build(session)


def after_reading(session: Session, build: Build, *reports: bytes, code: int = 0) -> JobStep:
    """A step that left these behind, and what became of it."""
    step = agents.a_taken_step(session, build)
    for number, content in enumerate(reports):
        agents.leave_behind(session, step, content, f"{number}.junit.xml")
    agents.end(session, step, code=code)
    collect.collect_step(step.id)
    return step


def sentences(session: Session, build: Build) -> list[str]:
    found = queries.failures_of(session, [build.id])[build.id]
    return [reasons.sentence(each.reason, each.data) for each in found]


def test_the_end_of_a_step_with_reports_asks_for_reading_them(session: Session, build: Build) -> None:
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, agents.JUNIT)

    agents.end(session, step)

    task = session.execute(select(Task).where(Task.child_id == step.id)).scalar_one()
    assert task.name == jobs.name_of(result_tasks.collect_step)


def test_a_step_without_reports_is_over_at_once(session: Session, build: Build) -> None:
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, b"...", "notes.txt")

    agents.end(session, step)

    assert step.status == Status.FINISHED


def test_passed_tests_leave_the_step_passed(session: Session, build: Build) -> None:
    after_reading(session, build, agents.JUNIT)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}


def test_a_failed_test_fails_the_step_in_words(session: Session, build: Build) -> None:
    after_reading(session, build, agents.JUNIT, agents.JUNIT_FAILED)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert sentences(session, build) == ["1 test failed."]


def test_a_report_that_is_not_xml_fails_the_step_in_words(session: Session, build: Build) -> None:
    after_reading(session, build, b"Segmentation fault")

    (sentence,) = sentences(session, build)
    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert sentence.startswith("An artifact could not be parsed: 0.junit.xml: ")


def test_tests_before_the_fault_are_kept(session: Session, build: Build) -> None:
    after_reading(session, build, HALF)

    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}
    assert build.result == Result.FAILED


def test_a_broken_report_does_not_hide_the_good_one_beside_it(session: Session, build: Build) -> None:
    after_reading(session, build, b"", agents.JUNIT)

    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}


def test_a_report_whose_bytes_are_gone_is_named(session: Session, build: Build) -> None:
    step = agents.a_taken_step(session, build)
    artifact = agents.leave_behind(session, step, agents.JUNIT)
    storage.storage.get().delete(artifact.key)
    agents.end(session, step)

    collect.collect_step(step.id)

    assert build.result == Result.FAILED
    assert "is gone" in sentences(session, build)[0]


def test_a_failed_step_stays_failed_whatever_its_tests_say(session: Session, build: Build) -> None:
    after_reading(session, build, agents.JUNIT, code=1)

    assert build.result == Result.FAILED
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}


def test_one_test_in_two_reports_counts_once_and_its_failure_wins(session: Session, build: Build) -> None:
    same = agents.JUNIT_FAILED.replace(b"breaks", b"works")

    step = after_reading(session, build, agents.JUNIT, same)

    assert statistics.of_items(session, [step.id])[step.id]["test_count"] == 1
    assert testruns.counts_of_build(session, build.id) == {Result.FAILED: 1}


def test_reading_twice_is_reading_once(session: Session, build: Build) -> None:
    step = after_reading(session, build, agents.JUNIT_FAILED)

    collect.collect_step(step.id)

    assert testruns.counts_of_build(session, build.id) == {Result.FAILED: 1}
    assert sentences(session, build) == ["1 test failed."]
    assert agents.announced(session, build.id) == 1


def test_a_step_that_was_deleted_meanwhile_is_no_error(session: Session) -> None:
    collect.collect_step(ids.new())
