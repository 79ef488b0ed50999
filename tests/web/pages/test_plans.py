"""What is built, and how."""

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_plan, a_project

from changes.base import ids


def test_without_plans_the_page_says_what_one_is(browser: TestClient) -> None:
    assert "There is no plan yet" in browser.get("/plans/").text


def test_plans_stand_with_their_projects(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session, "server"), {"commands": ["make"]}, label="tests")

    page = browser.get("/plans/").text

    assert f'href="/plans/{plan.id.hex}/"' in page
    assert 'href="/projects/server/"' in page


def test_a_plan_shows_what_its_steps_run(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session), {"commands": ["make </pre><script>"]})

    page = browser.get(f"/plans/{plan.id.hex}/").text

    assert "DefaultBuildStep" in page
    assert "make &lt;/pre&gt;&lt;script&gt;" in page


def test_a_plan_without_steps_says_so(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session))

    assert "It has no steps yet" in browser.get(f"/plans/{plan.id.hex}/").text


def test_a_plan_of_the_repository_says_where_its_steps_are(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session))
    plan.in_repository = True
    session.flush()

    assert ".changes.yml" in browser.get(f"/plans/{plan.id.hex}/").text


def test_a_plan_that_does_not_exist_is_a_page_that_says_so(browser: TestClient) -> None:
    assert browser.get(f"/plans/{ids.new().hex}/").status_code == 404


def test_more_plans_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    a_plan(session, a_project(session), {"commands": ["make"]})
    one = questions("/plans/")
    a_plan(session, a_project(session), {"commands": ["make"]})

    assert questions("/plans/") == one
