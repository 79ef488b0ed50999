"""All projects at a glance, and one with its builds."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_plan, a_project
from tests.finished import a_patch, an_ended_build
from tests.web.pages.conftest import PAGE

from changes.base import clock
from changes.builds.models import Build
from changes.builds.rules import Cause, Result, Status
from changes.people import users
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus

HOSTILE = "<script>alert(1)</script>"


def a_finished_build(session: Session, project: Project, result: Result = Result.PASSED) -> Build:
    build = a_build(session, project)
    build.status, build.result = Status.FINISHED, result
    build.date_finished = clock.now()
    build.date_started = build.date_finished - timedelta(seconds=95)
    session.flush()
    return build


@pytest.mark.parametrize(
    "path", ["/projects/", "/projects/server/", "/projects/server/builds/1/", "/nodes/", "/plans/"]
)
def test_a_stranger_is_led_to_the_door(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=PAGE)

    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"/auth/login/?next={quote(path, safe='')}",
    )


def test_the_first_look_says_how_to_begin(browser: TestClient) -> None:
    assert "changes project create" in browser.get("/projects/").text


def test_each_project_shows_its_last_build_and_the_ones_before(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    a_finished_build(session, project, Result.FAILED)
    a_finished_build(session, project)

    page = browser.get("/projects/").text

    assert "1 min 35 s" in page
    assert page.index('href="/projects/server/builds/2/"') < page.index('href="/projects/server/builds/1/"')


def test_the_strip_ends_after_twelve(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    for _ in range(13):
        a_finished_build(session, project)

    page = browser.get("/projects/").text

    assert "/builds/2/" in page
    assert "/builds/1/" not in page


def test_each_project_shows_its_verdict_rate_and_queue(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    a_finished_build(session, project)
    a_finished_build(session, project, Result.FAILED)
    a_build(session, project)

    page = browser.get("/projects/").text

    assert re.search(r'builds/2/"><span class="status tone-failed">', page)
    assert "50 %" in page
    assert "1 waiting" in page
    assert "1 project, " in page


def test_only_red_projects_can_be_shown(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session, "green"))
    a_finished_build(session, a_project(session, "broken"), Result.FAILED)

    page = browser.get("/projects/?only=red").text

    assert "/projects/broken/" in page
    assert "/projects/green/" not in page


def test_when_no_project_is_red_that_is_good_news(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session))

    assert "No project is red" in browser.get("/projects/?only=red").text


def test_a_search_that_finds_no_project_offers_all(browser: TestClient, session: Session) -> None:
    a_project(session)

    page = browser.get("/projects/?query=nonsense").text

    assert "No project is like that" in page
    assert "Show all projects" in page


def test_projects_are_shown_in_the_order_asked_for(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session, "green"))
    a_finished_build(session, a_project(session, "broken"), Result.FAILED)

    page = browser.get("/projects/?sort=-rate").text

    assert page.index("/projects/green/") < page.index("/projects/broken/")


def test_a_project_that_was_not_built_for_long_says_so_and_stays(
    browser: TestClient, session: Session
) -> None:
    build = a_finished_build(session, a_project(session, "server"))
    build.date_created = clock.now() - timedelta(days=45)
    session.flush()

    assert "No build in the last 30 days" in browser.get("/projects/").text
    assert "No build in the last 30 days" in browser.get("/projects/server/").text


def test_many_projects_come_in_pages(browser: TestClient, session: Session) -> None:
    for number in range(51):
        a_project(session, f"project-{number:03}")

    first, second = (browser.get(f"/projects/?page={number}").text for number in (1, 2))

    assert "project-049" in first
    assert "project-050" not in first
    assert "project-050" in second


def test_projects_that_rest_are_left_out(browser: TestClient, session: Session) -> None:
    a_project(session, "resting").status = ProjectStatus.INACTIVE

    assert "Resting" not in browser.get("/projects/").text


def test_more_projects_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    a_finished_build(session, a_project(session))
    one = questions("/projects/")
    for _ in range(3):
        a_finished_build(session, a_project(session))

    assert questions("/projects/") == one


def test_a_project_without_builds_says_how_to_ask_for_one(browser: TestClient, session: Session) -> None:
    a_project(session, "server")

    assert "changes build server" in browser.get("/projects/server/").text


def test_a_project_lists_builds_with_a_chart_of_durations(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    a_finished_build(session, project)

    page = browser.get("/projects/server/").text

    assert project.repository.url in page
    assert 'aria-label="Build #1: passed, 1 min 35 s"' in page


@pytest.mark.parametrize(
    "question",
    [
        "result=failed",
        "cause=push",
        "query=frob",
        "query=%231",
        "kind=patches",
        "author=ANN",
        "branch=next",
        "tag=nightly",
    ],
)
def test_filters_stand_in_the_address(browser: TestClient, session: Session, question: str) -> None:
    project = a_project(session, "server")
    wanted = an_ended_build(session, project, Result.FAILED, source=a_patch(session, project))
    wanted.label, wanted.cause, wanted.tags = "Mend the frobnicator", Cause.PUSH, ["nightly"]
    wanted.author = users.author(session, "Wanted", "wanted.ann@example.com")
    wanted.source.revision.branches = ["next"]
    an_ended_build(session, project).label = "Something else"
    session.flush()

    page = browser.get(f"/projects/server/?{question}").text

    assert "Mend the frobnicator" in page
    assert "Something else" not in page


def test_what_was_asked_for_stands_in_the_filters(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session, "server")).tags = ["nightly"]
    session.flush()

    page = browser.get("/projects/server/?query=frob&kind=patches&tag=nightly&author=ann").text

    assert 'name="query" value="frob"' in page
    assert '<option value="patches" selected>' in page
    assert '<option value="nightly" selected>' in page
    assert '<details class="filter-more" open>' in page


def test_a_filter_that_nothing_fits_offers_all_builds(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session, "server"))

    assert "Show all builds" in browser.get("/projects/server/?result=aborted").text


def test_a_filter_that_does_not_exist_is_refused_on_a_page(browser: TestClient, session: Session) -> None:
    a_project(session, "server")

    answer = browser.get("/projects/server/?result=purple")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_second_page_goes_on_and_keeps_the_filters(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    for _ in range(26):
        a_finished_build(session, project)

    first = browser.get("/projects/server/?result=passed").text
    second = browser.get("/projects/server/?result=passed&page=2").text

    assert 'href="?result=passed&amp;page=2"' in first
    assert "#1 A build" in second
    assert "#2 A build" not in second


def test_more_builds_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    a_finished_build(session, a_project(session, "small"))
    large = a_project(session, "large")
    for _ in range(3):
        a_finished_build(session, large)

    assert questions("/projects/large/") == questions("/projects/small/")


def test_a_hostile_label_is_only_text(browser: TestClient, session: Session) -> None:
    a_finished_build(session, a_project(session, "server")).label = HOSTILE
    session.flush()

    page = browser.get("/projects/server/").text

    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_browser_is_told_on_a_page_that_nothing_is_there(browser: TestClient) -> None:
    answer = browser.get("/projects/nobody/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert answer.text.count("There is no project") == 1


def test_a_program_is_told_in_json_that_nothing_is_there(browser: TestClient) -> None:
    answer = browser.get("/projects/nobody/", headers={"Accept": "*/*"})

    assert answer.status_code == 404
    assert "nobody" in answer.json()["error"]


def test_a_project_shows_its_plans(browser: TestClient, session: Session) -> None:
    plan = a_plan(session, a_project(session, "server"), {"commands": ["make"]})

    page = browser.get("/projects/server/plans/").text

    assert f'href="/plans/{plan.id.hex}/"' in page


def test_a_project_without_plans_says_what_one_is(browser: TestClient, session: Session) -> None:
    a_project(session, "server")

    assert "A plan says what to run" in browser.get("/projects/server/plans/").text


def test_a_project_is_found_by_its_id_too(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")

    assert browser.get(f"/projects/{project.id.hex}/").status_code == 200


@pytest.mark.parametrize("path", ["/projects/", "/projects/server/", "/projects/server/plans/"])
def test_no_page_asks_more_than_nine_questions(
    session: Session, questions: Callable[[str], int], path: str
) -> None:
    project = a_project(session, "server")
    a_finished_build(session, project, Result.FAILED).tags = ["nightly"]
    a_finished_build(session, project)

    assert questions(path) <= 9
