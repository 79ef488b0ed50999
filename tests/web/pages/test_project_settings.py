"""Settings of a project: names, repository, notes, and the ones to be careful with."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in

from changes.people import users
from changes.projects import options, queries
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus
from changes.web.auth import COOKIE

SETTINGS = "/projects/hello/settings/"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "hello")


def test_name_owner_and_notes_are_changed(browser: TestClient, session: Session, project: Project) -> None:
    typed = {"project.owners": "ops@example.com", "project.notes": "First.\r\nSecond."}

    answer = fill_in(browser, SETTINGS, name="Hello world", **typed)

    assert answer.headers["Location"] == SETTINGS
    assert project.name == "Hello world"
    assert queries.options(session, project) == {
        "project.owners": "ops@example.com",
        "project.notes": "First.\r\nSecond.",
    }


def test_what_is_emptied_is_forgotten(browser: TestClient, session: Session, project: Project) -> None:
    fill_in(browser, SETTINGS, **{"project.owners": "ops@example.com"})
    fill_in(browser, SETTINGS, **{"project.owners": "", "build.queue-timeout": ""})

    assert queries.options(session, project) == {}


def test_what_acts_on_builds_is_kept(browser: TestClient, session: Session, project: Project) -> None:
    typed = {
        "build.result-rule": "any",
        "queue.weight": "3",
        "queue.limit": "4",
        "build.queue-timeout": "15",
        "build.overall-timeout": "90",
    }

    fill_in(browser, SETTINGS, **typed)

    assert queries.options(session, project) == typed


def test_another_repository_is_one_that_is_known(
    browser: TestClient, session: Session, project: Project
) -> None:
    other = factories.a_repository(session)

    fill_in(browser, SETTINGS, repository=other.url)

    session.refresh(project)
    assert project.repository_id == other.id


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"repository": "https://example.com/unknown.git"}, "repository"),
        ({"project.owners": "o" * 1001}, "project.owners"),
        ({"build.queue-timeout": "soon"}, "build.queue-timeout"),
        ({"build.result-rule": "none"}, "build.result-rule"),
        ({"build.overall-timeout": "10081"}, "build.overall-timeout"),
        ({"queue.limit": "-1"}, "queue.limit"),
        ({"queue.weight": "0"}, "queue.weight"),
    ],
)
def test_a_setting_that_is_wrong_says_so_beside_its_field(
    browser: TestClient, session: Session, project: Project, typed: dict[str, str], field: str
) -> None:
    answer = fill_in(browser, SETTINGS, **({"project.notes": "typed and kept"} | typed))

    assert answer.status_code == 400
    assert f'id="{field}-error"' in answer.text
    assert "typed and kept" in answer.text
    assert queries.options(session, project) == {}


def test_another_slug_is_another_address(browser: TestClient, project: Project) -> None:
    answer = fill_in(browser, SETTINGS, "/address/", slug="greetings", confirmed="yes")

    assert answer.headers["Location"] == "/projects/greetings/settings/"
    assert project.slug == "greetings"


@pytest.mark.parametrize(
    ("typed", "field"), [({"slug": "greetings"}, "confirmed"), ({"slug": "Up", "confirmed": "yes"}, "slug")]
)
def test_a_slug_is_changed_only_when_it_is_meant_and_right(
    browser: TestClient, project: Project, typed: dict[str, str], field: str
) -> None:
    answer = fill_in(browser, SETTINGS, "/address/", **typed)

    assert (answer.status_code, f'id="{field}-error"' in answer.text) == (400, True)
    assert f'value="{typed["slug"]}"' in answer.text
    assert project.slug == "hello"


def test_a_project_is_switched_off_by_typing_its_slug_and_on_again(
    browser: TestClient, project: Project
) -> None:
    refused = fill_in(browser, SETTINGS, "/status/", typed="help")
    kept = project.status
    fill_in(browser, SETTINGS, "/status/", typed="hello")
    off = project.status
    fill_in(browser, SETTINGS, "/status/")

    assert (refused.status_code, kept) == (400, ProjectStatus.ACTIVE)
    assert (off, project.status) == (ProjectStatus.INACTIVE, ProjectStatus.ACTIVE)


def test_settings_are_for_those_who_administer_the_project(
    browser: TestClient, session: Session, project: Project
) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    answer = browser.get(SETTINGS)

    assert (answer.status_code, "administer the project hello" in answer.text) == (403, True)


def test_everybody_who_may_read_finds_owner_and_notes(
    browser: TestClient, session: Session, project: Project
) -> None:
    options.change(session, project, {options.OWNERS: "ops@example.com", options.NOTES: "<b>Read me</b>"})

    page = answered(browser.get("/projects/hello/details/")).text

    assert "ops@example.com" in page
    assert "&lt;b&gt;Read me&lt;/b&gt;" in page


def test_everybody_who_may_read_finds_what_it_builds(
    browser: TestClient, session: Session, project: Project
) -> None:
    said = {options.BRANCHES: "main release-*", options.FILES: "src/*\ndocs/*", options.QUEUE_LIMIT: "0"}
    options.change(session, project, {**said, options.DIFF_TRIGGER: "0"})

    page = answered(browser.get("/projects/hello/details/")).text

    for words in ("<dd>new commits</dd>", "main release-*", "src/*, docs/*", "none: it is paused"):
        assert words in page


@pytest.mark.parametrize("page", ["settings/", "details/", "start/", "build/", "plans/new/"])
def test_a_page_of_a_project_asks_few_questions(
    session: Session, project: Project, questions: Callable[[str], int], page: str
) -> None:
    factories.a_plan(session, project, {"commands": ["make"]})
    one = questions(f"/projects/hello/{page}")
    for _ in range(3):
        factories.a_plan(session, project, {"commands": ["make"]}, {"commands": ["make"]})

    assert questions(f"/projects/hello/{page}") == one <= 8
