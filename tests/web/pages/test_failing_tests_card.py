"""What the page of a build says of its failing tests beside an earlier build."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_sha, a_test, end, report
from tests.web.conftest import first_step

from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project, Revision
from changes.results import against_base
from changes.results.formats import seen


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "server")


def a_build(session: Session, project: Project, *tests: seen.TestSeen) -> Build:
    """Finished, of a commit of its own."""
    sha = a_sha()
    build = factories.a_build(session, project)
    build.source = factories.a_source(session, project, sha=sha)
    session.get_one(Revision, (project.repository_id, sha)).branches = ["main"]
    report(session, first_step(session, build), tests)
    end(session, build, Result.FAILED)
    return build


def test_each_failure_says_whether_it_is_new_and_new_ones_come_first(
    browser: TestClient, session: Session, project: Project
) -> None:
    old = a_test("a.old", "failed")
    before = a_build(session, project, old, a_test("b.new"))
    build = a_build(session, project, old, a_test("b.new", "failed"))

    page = browser.get(f"/projects/server/builds/{build.number}/").text

    assert page.index("b.new") < page.index(">new</") < page.index("a.old") < page.index(">still failing</")
    assert f'>1 new</a> since build <a href="/projects/server/builds/{before.number}/tests/"' in page


def test_without_an_earlier_build_nothing_is_news(
    browser: TestClient, session: Session, project: Project
) -> None:
    build = a_build(session, project, a_test("a.old", "failed"))

    page = browser.get(f"/projects/server/builds/{build.number}/").text

    assert "a.old" in page
    assert ">new</" not in page


def test_what_an_earlier_attempt_found_is_not_shown(
    browser: TestClient, session: Session, project: Project
) -> None:
    build = factories.a_build(session, project)
    step = first_step(session, build)
    report(session, step, [a_test("a.gone", "failed")])
    again = factories.a_build(session, project)
    step.replacement_id = first_step(session, again).id
    end(session, build, Result.FAILED)

    assert "a.gone" not in browser.get(f"/projects/server/builds/{build.number}/").text


def test_where_not_all_failures_are_compared_the_pages_say_so(
    browser: TestClient, session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_base, "FAILURES_MAX", 1)
    before = a_build(session, project, a_test("a.old", "failed"), a_test("b.old", "failed"))
    build = a_build(session, project, *(a_test(f"{name}.new", "failed") for name in "cd"))

    page = browser.get(f"/projects/server/builds/{build.number}/").text
    tests = browser.get(f"/projects/server/builds/{build.number}/tests/").text

    assert ">1 new</a> among the 1 that were compared since build" in page
    assert "Only 1 of its failures were compared" in tests
    assert f"2 tests failed in #{before.number}. Only 1 of them were looked for" in tests


def test_where_all_are_compared_nothing_is_said_of_a_limit(
    browser: TestClient, session: Session, project: Project
) -> None:
    a_build(session, project, a_test("a.old", "failed"))
    build = a_build(session, project, a_test("a.old", "failed"))

    page = browser.get(f"/projects/server/builds/{build.number}/tests/").text

    assert "compared:" not in page
    assert "looked for" not in page
