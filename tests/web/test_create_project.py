"""The endpoint that docs/developers/layout.md follows from URL to row."""

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_project, a_repository

from changes.projects.models import Project

URL = "/api/0/projects/"


def test_a_project_is_made_of_a_name_and_a_repository(session: Session, admin: TestClient) -> None:
    repository = a_repository(session)

    answer = admin.post(URL, data={"name": "Hello World", "repository": repository.url})

    row = session.execute(select(Project).where(Project.slug == "hello-world")).scalar_one()
    assert answer.status_code == 200
    assert answer.json()["id"] == row.id.hex
    assert row.repository_id == repository.id


def test_a_slug_that_is_taken_is_a_conflict(session: Session, admin: TestClient) -> None:
    taken = a_project(session)
    asked = {"name": "Another", "slug": taken.slug, "repository": taken.repository.url}

    answer = admin.post(URL, data=asked)

    assert (answer.status_code, answer.json()["problems"]) == (409, ["slug"])


def test_whoever_may_only_write_makes_no_project(session: Session, writer: TestClient) -> None:
    answer = writer.post(URL, data={"name": "Hello", "repository": a_repository(session).url})

    assert answer.status_code == 403
