"""What is built, and how."""

import re
from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_plan, a_project, a_source

from changes.base import ids
from changes.builds.create import NewBuild, create_build
from changes.projects.models import Plan


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


def test_plans_are_found_by_their_own_and_their_projects_name(browser: TestClient, session: Session) -> None:
    wanted = a_plan(session, a_project(session, "server"), label="nightly")
    other = a_plan(session, a_project(session, "client"), label="tests")

    for text in ("NIGHT", "serv"):
        page = browser.get(f"/plans/?query={text}").text
        assert wanted.id.hex in page
        assert other.id.hex not in page
    assert "Show all plans" in browser.get("/plans/?query=nonsense").text


def test_a_plan_shows_its_commands_as_they_would_run(browser: TestClient, session: Session) -> None:
    step = {
        "commands": [{"script": "make test", "label": "Tests", "type": "setup"}],
        "env": {"LEVEL": "7"},
        "path": "inner",
        "cluster": "large",
        "timeout": 90,
        "artifacts": ["out/*.xml"],
    }
    plan = a_plan(session, a_project(session), step)

    page = browser.get(f"/plans/{plan.id.hex}/").text

    for told in (
        "make test",
        "Tests",
        "setup",
        "LEVEL=7",
        "inner",
        "on cluster large",
        "1 h 30 min",
        "out/*.xml",
    ):
        assert told in page


def test_a_step_that_cannot_run_says_why(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session), {"commands": ["make"], "colour": "red"})

    assert "unknown field &#39;colour&#39;" in browser.get(f"/plans/{plan.id.hex}/").text


def test_a_plan_of_the_repository_is_shown_as_the_newest_build_found_it(
    browser: TestClient, session: Session
) -> None:
    project = a_project(session, "server")
    source = a_source(session, project, config="plans:\n  - name: tests\n    commands: [make everything]\n")
    asked = NewBuild(source, ids.new(), "A build", "abc", "", None)
    create_build(session, project, asked)
    plan = session.query(Plan).filter(Plan.project_id == project.id).one()

    page = browser.get(f"/plans/{plan.id.hex}/").text

    assert "make everything" in page
    assert re.search(r'This is how <a href="/projects/server/builds/1/">', page)


def test_a_plan_asks_no_more_than_eight_questions(session: Session, questions: Callable[[str], int]) -> None:
    project = a_project(session)
    for _ in range(3):
        a_build(session, project)
    plan = session.query(Plan).filter(Plan.project_id == project.id).first()
    assert plan is not None

    assert questions(f"/plans/{plan.id.hex}/") <= 8
