"""The tests of a project over its days."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_test, report
from tests.web.conftest import first_step

from changes.projects.models import Project
from changes.results import testdays
from changes.results.tests_of_project import DayOfTests
from changes.web.pages import columns, project_tests
from changes.web.pages.columns import Column

HERE = "/projects/server/tests/"
HOSTILE = "<script>alert(1)</script>"
TESTS = [
    a_test("app.test_slow", duration_ms=9000),
    a_test("app.test_again", reruns=2),
    a_test("app.test_bad", "failed", owner="payments"),
    a_test(f"app.{HOSTILE}", "failed"),
]


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "server")


@pytest.fixture
def tested(session: Session, project: Project) -> Project:
    report(session, first_step(session, factories.a_build(session, project)), TESTS)
    testdays.sum_up(session)
    return project


def names(page: str) -> list[str]:
    return re.findall(r"data-item>([^<]*)</a>", page)


def test_a_project_without_tests_says_where_they_come_from(browser: TestClient, project: Project) -> None:
    assert "junit.xml" in browser.get(HERE).text
    assert "No tests in the last 7 days" in browser.get(f"{HERE}all/").text


def test_what_failed_what_is_flaky_and_what_is_slow_stands_on_one_page(
    browser: TestClient, tested: Project
) -> None:
    page = browser.get(HERE).text

    assert "app.test_bad" in page
    assert "owned by payments" in page
    assert 'href="/projects/server/builds/1/tests/' in page
    assert "1 flaky run" in page
    assert "9.0 s" in page
    assert HOSTILE not in page


def test_the_page_asks_no_more_than_eight_questions(tested: Project, questions: Callable[[str], int]) -> None:
    assert questions(HERE) <= 8
    assert questions(f"{HERE}all/?sort=failing&query=app") <= 8


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("?sort=failing&query=BAD", ["app.test_bad"]),
        ("?sort=flakiest", ["app.test_again"]),
        ("?sort=name&query=test_", ["app.test_again", "app.test_bad", "app.test_slow"]),
        ("?query=test_s", ["app.test_slow"]),
    ],
)
def test_all_tests_are_ordered_and_searched(
    browser: TestClient, tested: Project, asked: str, found: list[str]
) -> None:
    assert names(browser.get(f"{HERE}all/{asked}").text) == found


def test_a_list_is_paged(browser: TestClient, session: Session, project: Project) -> None:
    tests = [a_test(f"app.t{number:03}") for number in range(70)]
    report(session, first_step(session, factories.a_build(session, project)), tests)
    testdays.sum_up(session)

    first = browser.get(f"{HERE}all/?sort=name").text
    after = re.findall(r'href="([^"]*)" rel="next"', first)[0].replace("&amp;", "&")

    assert len(names(first)) == 50
    assert names(browser.get(f"{HERE}all/{after}").text) == [f"app.t{number:03}" for number in range(50, 70)]


def test_a_question_that_nothing_fits_offers_all_tests(browser: TestClient, tested: Project) -> None:
    assert "Show all tests" in browser.get(f"{HERE}all/?query=nowhere").text
    assert browser.get(f"{HERE}all/?sort=beauty").status_code == 400


def test_each_of_thirty_days_has_a_column_and_those_without_tests_a_gap() -> None:
    today = datetime(2026, 3, 2, tzinfo=UTC).date()
    day = DayOfTests(today - timedelta(days=1), 3, 10, 8, 2, 1, 0, 4500)

    drawn = project_tests.charts([day], today)["failed"]

    assert len(drawn.columns) == 30
    assert drawn.columns[-2].column.said == "1 Mar: 2 failed runs, 80 % passed"
    assert (drawn.columns[-1].column.said, drawn.columns[-1].height) == ("2 Mar: no tests", 0.0)
    assert drawn.edge == ("2", "1", "0")


@pytest.mark.parametrize(
    ("most", "top"), [(0, 2), (1, 2), (5, 6), (10, 10), (11, 20), (61, 100), (4999, 6000)]
)
def test_the_top_of_a_chart_of_counts_is_round_and_even(most: int, top: int) -> None:
    assert columns.top_of_counts([Column(most, ""), Column(None, "")]) == top


@pytest.mark.parametrize(("longest", "top"), [(0, 0.01), (0.4, 0.5), (3, 5), (100_000, 100_000)])
def test_the_top_of_a_chart_of_durations_is_one_people_read(longest: float, top: float) -> None:
    assert columns.top_of_seconds([Column(longest, "")]) == top
