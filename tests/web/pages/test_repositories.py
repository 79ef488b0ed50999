"""Repositories: the list, one of them, and changing where it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in

from changes.base import clock
from changes.base.task import Task
from changes.people import users
from changes.projects import tasks
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend, RepositoryStatus
from changes.web.auth import COOKIE


@pytest.fixture
def repository(session: Session) -> Repository:
    return factories.a_repository(session, "https://example.com/server.git")


@pytest.fixture
def source(tmp_path: Path) -> str:
    factories.a_git_repository(tmp_path / "source", {"a": "1"}, "The first")
    return str(tmp_path / "source")


def test_each_repository_shows_how_reading_it_goes_and_who_builds_it(
    browser: TestClient, session: Session, repository: Repository
) -> None:
    factories.a_project(session, "server", repository)
    broken = factories.a_repository(session)
    broken.last_error = "The server does not answer."
    session.flush()

    page = answered(browser.get("/repositories/")).text

    for words in ("Ready", "Cannot be read", "The server does not answer.", 'href="/projects/server/"'):
        assert words in page


def test_more_repositories_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    factories.a_project(session)
    one = questions("/repositories/")
    for _ in range(3):
        factories.a_project(session)

    assert questions("/repositories/") == one <= 8


def test_one_repository_tells_its_state_and_projects(
    browser: TestClient, session: Session, repository: Repository
) -> None:
    project = factories.a_project(session, "server", repository)
    factories.a_source(session, project)

    page = answered(browser.get(f"/repositories/{repository.id.hex}/")).text

    assert "Mend the frobnicator" in page
    assert 'href="/projects/server/"' in page


def test_another_address_is_tried_and_read_anew(
    browser: TestClient, session: Session, repository: Repository, source: str
) -> None:
    fill_in(browser, f"/repositories/{repository.id.hex}/edit/", url=source)
    task = session.execute(select(Task).where(Task.child_id == repository.id)).scalar_one()

    tasks.import_repository(repository.id)

    session.refresh(repository)
    assert task.name == "projects.import_repository"
    assert (repository.url, repository.status) == (source, RepositoryStatus.ACTIVE)
    assert repository.date_updated is not None


@pytest.mark.parametrize("url", ["/nothing/here", "", "ext::x"])
def test_an_address_without_a_repository_is_refused_beside_its_field(
    browser: TestClient, repository: Repository, url: str
) -> None:
    before = repository.url

    answer = fill_in(browser, f"/repositories/{repository.id.hex}/edit/", url=url)

    assert (answer.status_code, 'id="url-error"' in answer.text) == (400, True)
    assert repository.url == before


def test_an_address_that_is_known_already_is_refused(
    browser: TestClient, session: Session, repository: Repository, source: str
) -> None:
    factories.a_repository(session, source)

    answer = fill_in(browser, f"/repositories/{repository.id.hex}/edit/", url=source)

    assert "already exists" in answer.text.partition('id="url-error"')[2]


def test_what_was_read_keeps_its_kind(browser: TestClient, session: Session, repository: Repository) -> None:
    repository.date_updated = clock.now()
    session.flush()

    answer = fill_in(browser, f"/repositories/{repository.id.hex}/edit/", backend="hg")

    assert (answer.status_code, "stays of that kind" in answer.text) == (400, True)
    assert repository.backend == RepositoryBackend.GIT


def test_a_repository_is_switched_off_without_being_asked(
    browser: TestClient, repository: Repository
) -> None:
    fill_in(browser, f"/repositories/{repository.id.hex}/edit/", status="inactive")

    assert repository.status == RepositoryStatus.INACTIVE


def test_switched_on_again_it_is_read_anew(
    browser: TestClient, session: Session, repository: Repository
) -> None:
    repository.status = RepositoryStatus.INACTIVE
    session.flush()

    fill_in(browser, f"/repositories/{repository.id.hex}/edit/", status="active")

    assert repository.status == RepositoryStatus.IMPORTING


def test_a_repository_that_moved_meanwhile_is_not_blamed_for_its_old_address(
    session: Session, repository: Repository
) -> None:
    read = Repository(id=repository.id, url="https://example.com/old.git", backend=RepositoryBackend.GIT)

    tasks.note(read, "The server does not answer.")

    assert repository.last_error == ""


def test_only_administrators_change_repositories(
    browser: TestClient, session: Session, repository: Repository
) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    page = answered(browser.get(f"/repositories/{repository.id.hex}/")).text

    assert "Read it now" not in page
    assert browser.get(f"/repositories/{repository.id.hex}/edit/").status_code == 403
