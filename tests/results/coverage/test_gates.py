"""How much of the code a job has to run, and what becomes of one that runs less."""

import pytest
from sqlalchemy.orm import Session
from tests.builds import agents
from tests.results.coverage import built
from tests.results.coverage.built import a_build, a_patch, a_plan, run, sentences
from tests.results.coverage.reports import cobertura

from changes.builds import reasons
from changes.builds.rules import Result, Status
from changes.projects.models import Project

# Of all lines 4 of 5 ran, of those that the patch adds 1 of 2.
REPORTS = {"coverage.xml": cobertura({"src/app.py": "CUCC", "src/fresh.py": "C"})}


@pytest.fixture
def project(session: Session) -> Project:
    return built.an_unread_project(session)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"coverage.min": "80"}, ""),
        ({"coverage.min": "81"}, "80.0% of the lines that can run have run; the plan asks for 81%."),
        ({"coverage.patch-min": "50"}, ""),
        ({"coverage.patch-min": "51"}, "50.0% of the lines that it adds have run; the plan asks for 51%."),
    ],
)
def test_a_job_that_runs_less_than_its_plan_asks_has_failed(
    session: Session, project: Project, options: dict[str, str], sentence: str
) -> None:
    a_plan(session, project, options)
    build = a_patch(session, project)

    run(session, build, REPORTS)

    assert build.result == (Result.FAILED if sentence else Result.PASSED)
    assert sentences(session, build) == ([sentence] if sentence else [])


def test_a_warning_is_told_and_fails_nothing(session: Session, project: Project) -> None:
    a_plan(session, project, {"coverage.min": "90", "coverage.below": "warn"})
    build = a_patch(session, project)

    run(session, build, REPORTS)

    assert build.result == Result.PASSED
    assert agents.reasons_of(session, build.id) == [reasons.COVERAGE_NOTED]


def test_all_steps_of_a_job_are_judged_together_when_the_last_one_ends(
    session: Session, project: Project
) -> None:
    a_plan(session, project, {"coverage.min": "100"}, steps=2)
    build = a_patch(session, project)

    run(session, build, {"coverage.xml": cobertura({"src/app.py": "CCUU"})})
    run(session, build, {"coverage.xml": cobertura({"src/app.py": "UUCC"})}, place=1)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_last_step_without_a_report_is_where_the_others_are_judged(
    session: Session, project: Project
) -> None:
    a_plan(session, project, {"coverage.min": "90"}, steps=2)
    build = a_patch(session, project)

    run(session, build, {"coverage.xml": cobertura({"src/app.py": "CCUU"})})
    run(session, build, {}, place=1)

    assert build.result == Result.FAILED


def test_a_plan_that_asks_for_coverage_gets_none_and_fails(session: Session, project: Project) -> None:
    a_plan(session, project, {"coverage.min": "10"})
    build = a_patch(session, project)

    run(session, build, {})

    assert sentences(session, build) == ["Its plan asks for coverage, and none was reported."]


@pytest.mark.parametrize(("reports", "result"), [(True, Result.FAILED), (False, Result.PASSED)])
def test_what_a_project_asks_concerns_jobs_that_report_coverage(
    session: Session, project: Project, *, reports: bool, result: Result
) -> None:
    built.asks(session, project, {"coverage.min": "90"})
    a_plan(session, project, {})
    build = a_patch(session, project)

    run(session, build, REPORTS if reports else {})

    assert build.result == result


def test_a_project_may_ask_for_the_new_lines_and_only_tell_of_them(
    session: Session, project: Project
) -> None:
    built.asks(session, project, {"coverage.patch-min": "51", "coverage.below": "warn"})
    a_plan(session, project, {})
    build = a_patch(session, project)

    run(session, build, REPORTS)

    assert build.result == Result.PASSED
    assert agents.reasons_of(session, build.id) == [reasons.COVERAGE_NOTED]


def test_what_a_plan_asks_goes_before_what_its_project_asks(session: Session, project: Project) -> None:
    built.asks(session, project, {"coverage.min": "90"})
    a_plan(session, project, {"coverage.min": "70"})
    build = a_patch(session, project)

    run(session, build, REPORTS)

    assert build.result == Result.PASSED


def test_a_change_without_a_line_that_can_run_is_right(session: Session, project: Project) -> None:
    a_plan(session, project, {"coverage.patch-min": "100"})
    build = a_patch(session, project)

    run(session, build, {"coverage.xml": cobertura({"src/other.py": "C"})})

    assert build.result == Result.PASSED


def test_a_job_that_failed_otherwise_is_not_judged_by_coverage(session: Session, project: Project) -> None:
    a_plan(session, project, {"coverage.min": "90"})
    build = a_patch(session, project)

    run(session, build, {**REPORTS, "junit.xml": agents.JUNIT_FAILED})

    assert sentences(session, build) == ["1 test failed."]


def test_patch_coverage_that_nobody_can_know_is_told(session: Session, project: Project) -> None:
    a_plan(session, project, {"coverage.patch-min": "1"})
    build = a_build(session, project, "b" * 40)

    run(session, build, REPORTS)

    (sentence,) = sentences(session, build)
    assert sentence.startswith("Whether the changed lines have run is not known.")
