"""What broke a test, on its page: the cost, the search and what it found."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.results import searching
from tests.results.searching import COMMITS, build_at, sha
from tests.web.conftest import answered
from tests.web.pages.filling import only_form, send

from changes.builds import cancel
from changes.builds.models import Build
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


def test_who_cancelled_a_build_and_what_machines_lost_is_told_of_its_commit(
    browser: TestClient, session: Session, here: str
) -> None:
    send(browser, only_form(browser, f"{here}origin/", "/origin/"))
    (search_id,) = origin_search.going_on(session)
    origin_search.advance(search_id)
    session.expire_all()
    lower, upper = session.execute(
        select(Build).where(Build.tags.contains(["origin"])).order_by(Build.id)
    ).scalars()
    cancel.cancel_build(session, lower, by="zoe@example.com")
    searching.lose(session, upper)
    origin_search.advance(search_id)

    page = answered(browser.get(f"{here}origin/")).text

    assert "says nothing: zoe@example.com cancelled the build." in page
    assert "<dt>Lost by machines</dt><dd>1 build, 1 min 35 s</dd>" in page


def test_of_builds_elsewhere_it_is_said_why_nothing_can_be_built(
    browser: TestClient, session: Session
) -> None:
    project = searching.a_project(session, "elsewhere")
    for number in (1, COMMITS):
        searching.told_at(session, project, number, passed=number == 1)
    test = searching.the_test(session, project)

    page = answered(browser.get(f"/projects/elsewhere/tests/{test.name_sha}/origin/")).text

    assert "It failed in builds that ran elsewhere (py3)" in page
    assert f"build {sha(COMMITS // 2 + 1)[:12]} there, report it, and search again." in page
    assert "Builds at once" not in page
