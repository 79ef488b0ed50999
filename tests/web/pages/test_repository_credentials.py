"""The form for credentials of a repository: what is secret goes in, and never comes out."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in

from changes.projects import credentials, queries, reach
from changes.projects.credentials import Given

HTTPS, SSH = "https://example.com/a.git", "ssh://git@example.com/a.git"


def test_the_form_stores_a_password(browser: TestClient, session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)

    fill_in(browser, f"/repositories/{repository.id.hex}/credentials/", password="hunter2")

    found = credentials.opened(session, repository)
    assert found is not None
    assert found.password == "hunter2"
    page = answered(browser.get(f"/repositories/{repository.id.hex}/")).text
    assert "a password or token" in page
    assert "hunter2" not in page


def test_the_form_makes_a_key_and_shows_its_public_half(browser: TestClient, session: Session) -> None:
    repository = factories.a_repository(session, SSH)
    here = f"/repositories/{repository.id.hex}/credentials/"

    fill_in(browser, here, kind="make_key")

    assert "ssh-ed25519 " in answered(browser.get(here)).text


def test_the_form_forgets_a_key_it_refuses(browser: TestClient, session: Session) -> None:
    repository = factories.a_repository(session, SSH)
    here = f"/repositories/{repository.id.hex}/credentials/"

    answer = fill_in(browser, here, kind="ssh_key", ssh_key="hunter2")

    assert answer.status_code == 400
    assert "This is no private SSH key." in answer.text
    assert "hunter2" not in answer.text


def test_the_form_takes_away_what_is_stored(browser: TestClient, session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)
    credentials.keep(session, repository, Given(password="hunter2"))

    here = f"/repositories/{repository.id.hex}/credentials/"
    fill_in(browser, here, f"{here}remove/")

    session.expire_all()
    assert credentials.of(session, repository) is None


def test_a_project_of_a_closed_repository_is_made_and_asks_for_its_credentials(
    browser: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise reach.Closed("The server does not let us in.", ["url"])

    monkeypatch.setattr(reach, "check", refuse)

    answer = fill_in(browser, "/projects/new/", name="Secret", url="https://example.com/secret.git")

    project = queries.project(session, "secret")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/repositories/{project.repository_id.hex}/credentials/"
