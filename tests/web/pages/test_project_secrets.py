"""The forms of secrets on the page of a project's settings."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.pages.filling import fill_in

from changes.projects import secrets
from changes.projects.models import Project

SETTINGS = "/projects/hello/settings/"
KEEP, REMOVE = f"{SETTINGS}secrets/", f"{SETTINGS}secrets/remove/"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "hello")


def test_a_secret_is_kept_as_it_was_typed_and_not_shown(
    browser: TestClient, session: Session, project: Project
) -> None:
    fill_in(browser, SETTINGS, KEEP, secret_name=" TOKEN ", secret_value="line one\r\nline two")

    (stored,) = secrets.of(session, project)
    page = browser.get(SETTINGS).text
    assert secrets.opened(project.id, [("TOKEN", stored.sealed)]) == {"TOKEN": "line one\nline two"}
    assert "<code>TOKEN</code>" in page
    assert "line one" not in page


def test_what_is_wrong_is_said_beside_its_field_and_the_value_is_typed_anew(
    browser: TestClient, session: Session, project: Project
) -> None:
    answer = fill_in(browser, SETTINGS, KEEP, secret_name="TOKEN", secret_value="abc12")

    assert answer.status_code == 400
    assert "cannot be hidden in logs" in answer.text
    assert "abc12" not in answer.text
    assert secrets.of(session, project) == []


def test_a_secret_is_removed(browser: TestClient, session: Session, project: Project) -> None:
    secrets.keep(session, project, "TOKEN", "correct horse")

    fill_in(browser, SETTINGS, REMOVE)

    assert secrets.of(session, project) == []
