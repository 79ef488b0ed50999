"""A project from nothing: form, the look at its repository, and the page that leads to the first build."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in, only_form, send

from changes.base.settings import Settings
from changes.people import users
from changes.projects import config, tasks
from changes.projects.models import Project, Repository
from changes.projects.rules import RepositoryStatus
from changes.web.auth import COOKIE

NEW = "/projects/new/"
CONFIG = "plans: [{name: fast tests, commands: [make test, make lint]}]"


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A repository with a plan in it."""
    factories.a_git_repository(tmp_path / "source", {config.FILE_NAME: CONFIG}, "Say hello")
    return str(tmp_path / "source")


def the_project(session: Session) -> Project:
    return session.execute(select(Project)).unique().scalar_one()


def test_a_name_and_a_repository_make_a_project(browser: TestClient, session: Session, source: str) -> None:
    answer = fill_in(browser, NEW, name="Café & Co.", url=source)

    project = the_project(session)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/projects/cafe-co/start/")
    assert (project.name, project.repository.url) == ("Café & Co.", source)
    assert project.repository.status == RepositoryStatus.IMPORTING


def test_a_form_sent_twice_makes_one_project_and_leads_to_it_twice(
    browser: TestClient, session: Session, source: str
) -> None:
    form = only_form(browser, NEW, NEW)

    answers = [send(browser, form, name="Hello", url=source) for _ in range(2)]

    assert [answer.headers["Location"] for answer in answers] == ["/projects/hello/start/"] * 2
    assert the_project(session).slug == "hello"


def test_whoever_goes_back_and_types_another_name_makes_another_project(
    browser: TestClient, session: Session, source: str
) -> None:
    form = only_form(browser, NEW, NEW)

    for name in ("One", "Two"):
        send(browser, form, name=name, url=source)

    made = session.execute(select(Project).order_by(Project.slug)).unique().scalars().all()
    assert [(each.slug, each.repository.url) for each in made] == [("one", source), ("two", source)]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": " "}, "A project needs a name"),
        ({"slug": "No Slug"}, "A slug has lower-case letters"),
        ({"slug": "new"}, "the address of another page"),
        ({"name": "日本"}, "A slug has lower-case letters"),
        ({"url": ""}, "A repository needs a url"),
        ({"url": "ext::sh -c x"}, "neither a URL nor an absolute path"),
        ({"url": "https://me:secret@example.com/x.git"}, "A password does not belong into the url"),
        ({"url": "/nothing/here"}, "There is no git repository at this address."),
        ({"url": "http://127.0.0.1:9/x.git"}, "The server does not answer."),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_typed_is_lost(
    browser: TestClient, session: Session, source: str, typed: dict[str, str], words: str
) -> None:
    answer = fill_in(browser, NEW, **({"name": "Hello", "url": source} | typed))

    assert answer.status_code == 400
    (name,) = typed.keys()
    beside = "slug" if typed.get("name") == "日本" else name
    assert words in answer.text.partition(f'id="{beside}-error"')[2].partition("</span>")[0]
    assert f'value="{typed.get("name", "Hello")}"' in answer.text
    assert session.execute(select(Repository)).first() is None


def test_a_taken_slug_is_said_beside_it(browser: TestClient, session: Session, source: str) -> None:
    factories.a_project(session, "hello")

    answer = fill_in(browser, NEW, name="Hello", url=source)

    assert (answer.status_code, "Project with slug hello already exists." in answer.text) == (400, True)


def test_a_path_is_refused_while_others_reach_the_server(
    browser: TestClient, settings: Settings, source: str
) -> None:
    object.__setattr__(settings, "host", "ci.example.com")

    answer = fill_in(browser, NEW, name="Hello", url=source)

    assert "while the server listens on this machine alone" in answer.text


def test_a_mercurial_repository_that_is_none_is_said_in_words(browser: TestClient, source: str) -> None:
    answer = fill_in(browser, NEW, name="Hello", url=source, backend="hg")

    assert "There is no Mercurial repository at this address." in answer.text


def test_only_administrators_make_projects(browser: TestClient, session: Session) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    answer = browser.get(NEW)

    assert (answer.status_code, "needs the scope admin" in answer.text) == (403, True)


# --- the way to the first build -----------------------------------------------------------


def test_while_the_repository_is_fetched_the_page_says_so_and_looks_again(
    browser: TestClient, source: str
) -> None:
    fill_in(browser, NEW, name="Hello", url=source)

    answer = browser.get("/projects/hello/start/")

    assert "The repository is being fetched." in answer.text
    assert answer.headers["Refresh"] == "2"


def test_the_plans_of_the_repository_are_shown_before_anything_was_built(
    browser: TestClient, session: Session, source: str
) -> None:
    fill_in(browser, NEW, name="Hello", url=source)
    tasks.import_repository(the_project(session).repository_id)

    answer = browser.get("/projects/hello/start/")

    assert "Plans come from <code>.changes.yml</code>" in answer.text
    assert "fast tests" in answer.text
    assert "2 commands" in answer.text
    assert "Refresh" not in answer.headers


def test_one_button_starts_the_first_build(browser: TestClient, session: Session, source: str) -> None:
    fill_in(browser, NEW, name="Hello", url=source)
    tasks.import_repository(the_project(session).repository_id)

    answer = fill_in(browser, "/projects/hello/start/", "/build/")

    assert answer.headers["Location"] == "/projects/hello/builds/1/"


def test_a_repository_without_plans_leads_to_writing_one(
    browser: TestClient, session: Session, tmp_path: Path
) -> None:
    factories.a_git_repository(tmp_path / "bare", {"README": "hello"})
    fill_in(browser, NEW, name="Hello", url=str(tmp_path / "bare"))
    tasks.import_repository(the_project(session).repository_id)

    page = answered(browser.get("/projects/hello/start/")).text

    assert 'href="/projects/hello/plans/new/"' in page
    assert "Start the first build" not in page


def test_a_repository_that_cannot_be_read_any_more_says_why_and_can_be_read_again(
    browser: TestClient, session: Session
) -> None:
    project = factories.a_project(session, "hello")
    project.repository.status = RepositoryStatus.IMPORTING
    project.repository.last_error = "The server does not answer."
    session.flush()

    answer = fill_in(browser, "/projects/hello/start/", "/fetch/")

    assert answer.headers["Location"] == f"/repositories/{project.repository_id.hex}/"
    assert project.repository.last_error == ""
