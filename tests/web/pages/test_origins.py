"""What broke a test, on its page: the cost, the search and what it found."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.results import searching
from tests.results.searching import COMMITS, build_at, sha
from tests.web.conftest import answered
from tests.web.pages.filling import only_form, send

from changes.projects.models import Project
from changes.results import origin_queries, origin_search


@pytest.fixture
def project(session: Session) -> Project:
    made = searching.a_project(session, "hello")
    build_at(session, made, 1, passed=True)
    build_at(session, made, COMMITS, passed=False)
    return made


@pytest.fixture
def here(session: Session, project: Project) -> str:
    test = searching.the_test(session, project)
    return f"/projects/hello/tests/{test.name_sha}/"


def test_the_cost_stands_beside_the_button(browser: TestClient, here: str) -> None:
    page = answered(browser.get(f"{here}origin/?parallel=1")).text

    assert "7 commits of 7 are not known" in page
    assert "At most <b>3 builds</b> in 3 rounds" in page


def test_a_search_is_begun_and_cancelled_at_a_click(browser: TestClient, session: Session, here: str) -> None:
    send(browser, only_form(browser, f"{here}origin/", "/origin/"))
    begun = origin_search.going_on(session)

    send(browser, only_form(browser, f"{here}origin/", "/cancel/"))

    assert (len(begun), origin_search.going_on(session)) == (1, [])


def test_what_was_found_is_told_of_the_test_and_of_the_commit(
    browser: TestClient, session: Session, project: Project, here: str
) -> None:
    build_at(session, project, 4, passed=True)
    build_at(session, project, 5, passed=False)
    send(browser, only_form(browser, f"{here}origin/", "/origin/"))
    origin_search.advance(origin_search.going_on(session)[0])

    pages = [
        answered(browser.get(where)).text
        for where in (here, f"{here}origin/", f"/projects/hello/commits/{sha(5)}/")
    ]

    assert "Broken by" in pages[0]
    assert "broke it" in pages[1]
    assert "It broke 1 test" in pages[2]
    assert origin_queries.broken_by(session, [(project.repository_id, sha(5))]) != []
