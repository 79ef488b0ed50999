"""The tests of one build as a reader walks them."""

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, a_project
from tests.finished import a_test, report
from tests.web.conftest import first_step

from changes.base import ids
from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Position
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.results import suite
from changes.results.suite import SuiteAsked

TESTS = [
    a_test("app.api.test_slow", duration_ms=900),
    a_test("app.api.test_bad", "failed", message="assert 1 == 2"),
    a_test("app.core.test_fine"),
    a_test("app.core.test_left_out", "skipped", duration_ms=None),
    a_test("app.test_top"),
]


@pytest.fixture
def build(session: Session) -> Build:
    build = a_build(session, a_project(session))
    report(session, first_step(session, build), TESTS)
    return build


def names(session: Session, build: Build, asked: SuiteAsked, page: Page | None = None) -> list[str]:
    return [
        seen.test.name for seen in suite.runs(session, build.id, page or Page(1, 50, Position()), asked).rows
    ]


def test_failures_come_first_with_the_beginning_of_what_they_said(session: Session, build: Build) -> None:
    first = suite.runs(session, build.id, Page(1, 1, Position()), SuiteAsked()).rows[0]

    assert (first.test.name, first.excerpt) == ("app.api.test_bad", "assert 1 == 2")


def test_the_slowest_come_first_and_what_took_no_time_last(session: Session, build: Build) -> None:
    found = names(session, build, SuiteAsked(sort="slowest"))

    assert (found[0], found[-1]) == ("app.api.test_slow", "app.core.test_left_out")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (SuiteAsked(group="failed"), 1),
        (SuiteAsked(group="skipped"), 1),
        (SuiteAsked(text="CORE"), 2),
        (SuiteAsked(prefix="app.api."), 2),
        (SuiteAsked(group="passed", prefix="app.core."), 1),
    ],
)
def test_a_list_is_narrowed(session: Session, build: Build, asked: SuiteAsked, count: int) -> None:
    assert len(names(session, build, asked)) == count


@pytest.mark.parametrize("sort", ["failures", "name", "slowest"])
def test_a_list_is_walked_forth_and_back_without_loss(session: Session, build: Build, sort: str) -> None:
    asked = SuiteAsked(sort=sort)
    whole = suite.runs(session, build.id, Page(1, 50, Position()), asked).rows
    first = suite.runs(session, build.id, Page(1, 2, Position()), asked)
    second = suite.runs(session, build.id, Page(1, 2, Position(after=first.rows[-1].id)), asked)
    third = suite.runs(session, build.id, Page(1, 2, Position(after=second.rows[-1].id)), asked)
    back = suite.runs(session, build.id, Page(1, 2, Position(before=third.rows[0].id)), asked)

    assert [each.id for each in [*first.rows, *second.rows, *third.rows]] == [each.id for each in whole]
    assert [each.id for each in back.rows] == [each.id for each in second.rows]
    assert (first.has_previous, first.has_next, third.has_next) == (False, True, False)


def test_a_place_that_is_gone_is_told(session: Session, build: Build) -> None:
    with pytest.raises(Invalid):
        names(session, build, SuiteAsked(), Page(1, 2, Position(after=ids.new())))


def test_packages_are_counted_with_failures_first(session: Session, build: Build) -> None:
    found = suite.packages(session, build.id, "app.")

    assert [(each.prefix, each.count, each.failed) for each in found] == [
        ("app.api.", 2, 1),
        ("app.core.", 2, 0),
    ]


def test_where_all_tests_go_together_there_is_nothing_to_choose(session: Session, build: Build) -> None:
    assert suite.common_prefix(session, build.id, "") == "app."
    assert suite.common_prefix(session, build.id, "app.api.") == "app.api."


def test_the_dot_of_a_file_does_not_end_a_package(session: Session) -> None:
    build = a_build(session)
    tests = [a_test("tests/unit/test_a.py::test_x"), a_test("tests/unit/test_b.py::test_y")]
    report(session, first_step(session, build), tests)

    found = suite.packages(session, build.id, "tests/unit/")

    assert [each.prefix for each in found] == ["tests/unit/test_a.py::", "tests/unit/test_b.py::"]


def test_one_run_comes_with_all_it_said(session: Session, build: Build) -> None:
    run_id = suite.runs(session, build.id, Page(1, 1, Position()), SuiteAsked()).rows[0].id

    _, test, step, message = suite.run(session, build, run_id)

    assert (test.name, step.job.build_id, message) == ("app.api.test_bad", build.id, "assert 1 == 2")


def test_a_run_of_another_build_is_not_there(session: Session, build: Build) -> None:
    run_id = suite.runs(session, build.id, Page(1, 1, Position()), SuiteAsked()).rows[0].id

    with pytest.raises(NotFound):
        suite.run(session, a_build(session), run_id)


def test_past_runs_come_newest_first_with_their_builds(session: Session, build: Build) -> None:
    again = a_build(session, build.project)
    report(session, first_step(session, again), [a_test("app.api.test_bad")])
    test = suite.runs(session, build.id, Page(1, 1, Position()), SuiteAsked()).rows[0].test

    past = suite.past_runs(session, test.id, limit=9)

    assert [(run.number, run.result) for run in past] == [(2, Result.PASSED), (1, Result.FAILED)]


def test_runs_before_and_after_a_run_are_asked_for_apart(session: Session, build: Build) -> None:
    builds = [build, *(a_build(session, build.project) for _ in range(2))]
    for each in builds[1:]:
        report(session, first_step(session, each), [a_test("app.api.test_bad")])
    middle = suite.runs(session, builds[1].id, Page(1, 1, Position()), SuiteAsked()).rows[0].run

    found = [
        [each.number for each in suite.runs_around(session, middle, until=until, later=later)]
        for until, later in ((9, 9), (1, 0), (2, 0), (1, 1))
    ]

    assert found == [[3, 2, 1], [2], [2, 1], [3, 2]]
