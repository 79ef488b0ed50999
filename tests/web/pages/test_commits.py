"""The commits of a project with their builds, and one commit."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_project, a_source
from tests.finished import an_ended_build

from changes.builds.rules import Result
from changes.projects.models import Project

SHA, OTHER = "bb" * 20, "cc" * 20


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session, "server")


def test_without_commits_the_page_says_when_one_is_there(browser: TestClient, project: Project) -> None:
    assert "No commits yet" in browser.get("/projects/server/commits/").text


def test_each_commit_shows_its_builds(browser: TestClient, session: Session, project: Project) -> None:
    an_ended_build(session, project, Result.FAILED, source=a_source(session, project, sha=SHA))
    a_source(session, project, sha=OTHER)

    page = browser.get("/projects/server/commits/").text
    rows = dict(re.findall(r'<tr id="commit-(\w+)">(.*?)</tr>', page, re.DOTALL))

    assert "/projects/server/builds/1/" in rows[SHA]
    assert "Not built" in rows[OTHER]


@pytest.mark.parametrize("question", ["branch=next", "query=Round", "query=bbbb"])
def test_filters_of_commits_stand_in_the_address(
    browser: TestClient, session: Session, project: Project, question: str
) -> None:
    wanted = a_source(session, project, sha=SHA).revision
    wanted.branches, wanted.message = ["next"], "Round half even"
    a_source(session, project, sha=OTHER)

    page = browser.get(f"/projects/server/commits/?{question}").text

    assert f"commit-{SHA}" in page
    assert f"commit-{OTHER}" not in page


def test_a_filter_that_nothing_fits_offers_all_commits(
    browser: TestClient, session: Session, project: Project
) -> None:
    a_source(session, project)

    assert "Show all commits" in browser.get("/projects/server/commits/?query=nonsense").text


def test_many_commits_come_in_pages(browser: TestClient, session: Session, project: Project) -> None:
    for number in range(51):
        a_source(session, project, sha=f"{number:040x}")

    pages = [browser.get(f"/projects/server/commits/?page={number}").text for number in (1, 2)]

    assert [page.count('<tr id="commit-') for page in pages] == [50, 1]


def test_a_commit_shows_its_message_and_its_builds(
    browser: TestClient, session: Session, project: Project
) -> None:
    an_ended_build(session, project, source=a_source(session, project, sha=SHA))
    an_ended_build(session, project)

    page = browser.get(f"/projects/server/commits/{SHA}/").text

    assert "It was broken." in page
    assert "/projects/server/builds/1/" in page
    assert "/projects/server/builds/2/" not in page


def test_a_commit_nobody_asked_for_is_a_page_that_says_so(browser: TestClient, project: Project) -> None:
    assert browser.get(f"/projects/server/commits/{SHA}/").status_code == 404


def test_a_hostile_message_is_only_text(browser: TestClient, session: Session, project: Project) -> None:
    hostile = "<script>alert(1)</script>"
    a_source(session, project, sha=SHA).revision.message = f"{hostile}\n\n{hostile}"
    session.flush()

    pages = [browser.get(f"/projects/server/commits/{each}").text for each in ("", f"{SHA}/")]

    assert all("<script>alert" not in page for page in pages)


@pytest.mark.parametrize("path", ["/projects/server/commits/", f"/projects/server/commits/{SHA}/"])
def test_no_page_of_commits_asks_more_than_nine_questions(
    session: Session, project: Project, questions: Callable[[str], int], path: str
) -> None:
    for sha in (SHA, OTHER):
        source = a_source(session, project, sha=sha)
        for _ in range(2):
            an_ended_build(session, project, source=source)

    assert questions(path) <= 9
