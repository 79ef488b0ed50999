"""The first page: what I build and what waits for me, then what everybody builds."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project, a_token, as_caller
from tests.finished import an_ended_build

from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.people import users
from changes.people.models import Author, User
from changes.projects.models import Project


@pytest.fixture
def me(browser: TestClient, session: Session) -> Author:
    """Whoever is signed in, as commits name them."""
    user = session.query(User).order_by(User.id.desc()).limit(1).one()
    return users.author(session, "Olga", user.email)


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session, "server")


def part(page: str, name: str) -> str:
    """The inside of a section, as far as it goes."""
    found = re.search(rf'id="{name}" data-live.*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def running(session: Session, project: Project, author: Author | None = None) -> Build:
    build = a_build(session, project)
    build.status, build.date_started, build.author = Status.IN_PROGRESS, build.date_created, author
    session.flush()
    return build


def test_on_the_first_day_it_says_how_to_begin(browser: TestClient) -> None:
    page = browser.get("/").text

    assert "There is no project yet" in page
    assert "changes project create" in page


def test_before_the_first_build_it_says_how_to_ask_for_one(browser: TestClient, project: Project) -> None:
    assert "changes build SLUG" in browser.get("/").text


def test_who_has_no_builds_learns_how_to_get_one_and_sees_those_of_the_team(
    browser: TestClient, session: Session, me: Author, project: Project
) -> None:
    an_ended_build(session, project)

    page = browser.get("/").text

    assert "Nothing of yours yet" in page
    assert me.email in page
    assert "/projects/server/builds/1/" in part(page, "team")


def test_my_builds_stand_apart_from_those_of_others(
    browser: TestClient, session: Session, me: Author, project: Project
) -> None:
    an_ended_build(session, project, author=me)
    an_ended_build(session, project)

    page = browser.get("/").text

    assert "/builds/1/" in part(page, "mine")
    assert "/builds/2/" not in part(page, "mine")
    assert "/builds/2/" in part(page, "team")


def test_my_red_and_my_running_builds_wait_for_me(
    browser: TestClient, session: Session, me: Author, project: Project
) -> None:
    project.avg_build_time_ms = 3_600_000
    an_ended_build(session, project, Result.FAILED, author=me)
    running(session, project, me)

    waits = part(browser.get("/").text, "waits")

    assert waits.index("/builds/1/") < waits.index("/builds/2/")
    assert "left" in waits


def test_when_nothing_of_mine_is_red_that_is_said(
    browser: TestClient, session: Session, me: Author, project: Project
) -> None:
    an_ended_build(session, project, author=me)

    assert "Nothing of yours is red or running" in browser.get("/").text


def test_the_queue_and_the_red_projects_are_told(
    browser: TestClient, session: Session, project: Project
) -> None:
    an_ended_build(session, project, Result.FAILED)
    running(session, project)
    a_build(session, project)

    page = browser.get("/").text

    assert re.search(r"Running</span>\s*<span class=\"stat-value\">1<", page)
    assert re.search(r"Waiting</span>\s*<span class=\"stat-value\">1<", page)
    assert re.search(r"Red now.*?/projects/server/", page, re.DOTALL)


def test_a_program_has_no_builds_of_its_own(client: TestClient, session: Session, project: Project) -> None:
    an_ended_build(session, project)

    page = client.get("/", headers=as_caller(a_token(session)) | {"Accept": "text/html"})

    assert page.status_code == 200
    assert "Newest builds" in page.text


def test_it_asks_no_more_than_eight_questions(
    session: Session, me: Author, project: Project, questions: Callable[[str], int]
) -> None:
    for result in (Result.FAILED, Result.PASSED, Result.FAILED):
        an_ended_build(session, project, result, author=me)
    running(session, project, me)

    assert questions("/") <= 8
