"""The tests of a build, and one run."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project
from tests.finished import a_test, report
from tests.web.conftest import first_step

from changes.builds.models import Build
from changes.web.pages import tests as pages

HERE = "/projects/server/builds/1/tests/"
HOSTILE = "<script>alert(1)</script>"
BAD = a_test("app.api.test_bad", "failed", message="=== failure ===\nassert 1 == 2\nmore", owner="payments")


@pytest.fixture
def build(session: Session) -> Build:
    return a_build(session, a_project(session, "server"))


def names(page: str) -> list[str]:
    return re.findall(rf'href="{HERE}[0-9a-f]{{32}}/" data-item>(.*?)</a>', page)


def run_of(browser: TestClient, name: str) -> str:
    """The address of the run of this test."""
    page = browser.get(f"{HERE}?query={name}").text
    return str(re.findall(rf'href="({HERE}[0-9a-f]{{32}}/)"', page)[0])


def test_a_build_without_tests_says_where_they_come_from(browser: TestClient, build: Build) -> None:
    assert "junit.xml" in browser.get(HERE).text


def test_failures_come_first_with_what_they_said(browser: TestClient, session: Session, build: Build) -> None:
    report(session, first_step(session, build), [a_test("app.a"), BAD, a_test("app.b")])

    page = browser.get(HERE).text

    assert names(page) == ["app.api.test_bad", "app.a", "app.b"]
    assert "<small>assert 1 == 2</small>" in page


def test_filters_and_packages_stand_in_the_address(
    browser: TestClient, session: Session, build: Build
) -> None:
    tests = [a_test("app.api.one"), a_test("app.api.two", "skipped"), a_test("app.core.one")]
    report(session, first_step(session, build), [*tests, BAD])

    assert names(browser.get(f"{HERE}?result=skipped").text) == ["app.api.two"]
    assert names(browser.get(f"{HERE}?query=CORE").text) == ["app.core.one"]
    assert names(browser.get(f"{HERE}?prefix=app.api.&result=passed").text) == ["app.api.one"]
    assert f'href="{HERE}?prefix=app.core.&amp;result=passed"' in browser.get(f"{HERE}?result=passed").text


def test_a_filter_that_nothing_fits_offers_all_tests(
    browser: TestClient, session: Session, build: Build
) -> None:
    report(session, first_step(session, build), [a_test("app.a")])

    assert "Show all tests" in browser.get(f"{HERE}?result=failed").text


@pytest.mark.parametrize("question", ["sort=beauty", "result=purple", "after=nonsense"])
def test_a_question_that_makes_no_sense_is_refused(browser: TestClient, build: Build, question: str) -> None:
    assert browser.get(f"{HERE}?{question}").status_code == 400


def test_ten_thousand_tests_are_walked_page_by_page(
    browser: TestClient, session: Session, build: Build, questions: Callable[[str], int]
) -> None:
    report(session, first_step(session, build), [a_test(f"app.m{n % 50}.t{n:05}") for n in range(10_000)])

    first = browser.get(f"{HERE}?sort=name")
    after = re.findall(r'href="([^"]*)" rel="next"', first.text)[0].replace("&amp;", "&")
    second = browser.get(HERE + after).text

    assert len(names(first.text)) == len(names(second)) == 100
    assert not set(names(first.text)) & set(names(second))
    assert max(names(first.text)) < min(names(second))
    assert "10,000" in first.text
    assert len(first.content) < 300_000
    assert len(re.findall("<[a-zA-Z]", first.text)) < 5_000
    assert questions(HERE + after) <= 9


def test_a_run_shows_all_it_said_and_its_past(browser: TestClient, session: Session, build: Build) -> None:
    report(session, first_step(session, build), [BAD])
    report(session, first_step(session, a_build(session, build.project)), [a_test("app.api.test_bad")])

    page = browser.get(run_of(browser, "test_bad")).text

    assert "assert 1 == 2\nmore" in page
    assert "owned" not in page
    assert "payments" in page
    assert "This is its first run." in page
    assert "Build #2: passed" in page


def test_a_failure_that_was_seen_before_says_where(
    browser: TestClient, session: Session, build: Build
) -> None:
    for each in (build, a_build(session, build.project), a_build(session, build.project)):
        report(session, first_step(session, each), [BAD])
    last = browser.get("/projects/server/builds/3/tests/").text
    run = re.findall(r'href="(/projects/server/builds/3/tests/[0-9a-f]{32}/)"', last)[0]

    assert "It failed in 2 of the 2 runs before, last in build #2." in browser.get(run).text


def test_a_run_of_another_build_is_a_page_that_says_so(
    browser: TestClient, session: Session, build: Build
) -> None:
    report(session, first_step(session, build), [BAD])
    a_build(session, build.project)

    other = run_of(browser, "test_bad").replace("/builds/1/", "/builds/2/")

    assert browser.get(other).status_code == 404


def test_hostile_names_and_messages_are_only_text(
    browser: TestClient, session: Session, build: Build
) -> None:
    report(session, first_step(session, build), [a_test(HOSTILE, "failed", message=HOSTILE)])

    pages = [browser.get(HERE).text, browser.get(run_of(browser, "script")).text]

    assert all(HOSTILE not in page for page in pages)


def test_one_run_asks_no_more_than_eight_questions(
    browser: TestClient, session: Session, build: Build, questions: Callable[[str], int]
) -> None:
    report(session, first_step(session, build), [BAD])

    assert questions(run_of(browser, "test_bad")) <= 8


@pytest.mark.parametrize(
    ("prefix", "steps"),
    [
        ("", []),
        ("app.api.", ["app.", "api."]),
        ("tests/unit/test_a.py::", ["tests/", "unit/", "test_a.", "py::"]),
        ("half.a", ["half.", "a"]),
    ],
)
def test_the_way_down_to_a_package_is_told_step_by_step(prefix: str, steps: list[str]) -> None:
    trail = pages.trail(prefix)

    assert [text for text, _ in trail] == steps
    assert "".join(steps) == (trail[-1][1] if trail else "")
