"""The API's side of the forms: changing projects and repositories, deleting plans, retrying, messages."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import API, answered, refused

from changes.builds.rules import Cause
from changes.people import messages
from changes.projects import queries
from changes.projects.models import Project


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "hello")


def test_a_project_is_changed_and_what_is_left_out_stays(admin: TestClient, project: Project) -> None:
    answer = admin.post(f"{API}/projects/hello/", data={"name": "Other", "status": "inactive"})

    told = answered(answer).json()
    assert (told["name"], told["slug"], told["status"]["id"]) == ("Other", "hello", "inactive")
    assert told["repository"]["id"] == project.repository_id.hex


def test_a_project_gets_another_repository_that_is_known(
    admin: TestClient, session: Session, project: Project
) -> None:
    other = factories.a_repository(session)

    told = admin.post(f"{API}/projects/hello/", data={"repository": other.url}).json()
    unknown = admin.post(f"{API}/projects/hello/", data={"repository": "https://example.com/unknown"})

    assert told["repository"]["id"] == other.id.hex
    refused(unknown, 400)


def test_options_are_stored_and_told(admin: TestClient, project: Project) -> None:
    answer = admin.post(f"{API}/projects/hello/options/", data={"project.notes": "Read me."})

    assert (answer.status_code, answer.json()) == (200, {})
    told = admin.get(f"{API}/projects/hello/").json()["options"]
    assert (told["project.notes"], told["project.owners"]) == ("Read me.", "")


def test_whoever_does_not_administer_the_project_changes_nothing(
    writer: TestClient, session: Session, project: Project
) -> None:
    plan = factories.a_plan(session, project)

    refused(writer.post(f"{API}/projects/hello/", data={"name": "Mine"}), 403)
    refused(writer.post(f"{API}/projects/hello/options/", data={"project.notes": "Mine"}), 403)
    refused(writer.delete(f"{API}/plans/{plan.id.hex}/"), 403)


def test_a_repository_is_changed_and_read_anew(admin: TestClient, session: Session, project: Project) -> None:
    where = f"{API}/repositories/{project.repository_id.hex}/"

    told = admin.post(where, data={"url": "https://example.com/moved.git"}).json()

    assert (told["url"], told["status"]["id"]) == ("https://example.com/moved.git", "importing")


def test_a_plan_that_never_ran_is_deleted(admin: TestClient, session: Session, project: Project) -> None:
    plan = factories.a_plan(session, project)

    answer = admin.delete(f"{API}/plans/{plan.id.hex}/")

    assert (answer.status_code, answer.json()) == (200, {})
    refused(admin.get(f"{API}/plans/{plan.id.hex}/"), 404)


def test_a_plan_that_ran_is_a_conflict(admin: TestClient, session: Session) -> None:
    build = factories.a_build(session)
    (plan,) = queries.active_plans(session, build.project)

    refused(admin.delete(f"{API}/plans/{plan.id.hex}/"), 409)


def test_a_retry_is_a_new_build_of_the_same_source_and_says_where_it_is(
    writer: TestClient, session: Session
) -> None:
    build = factories.a_build(session)

    answer = answered(writer.post(f"{API}/builds/{build.id.hex}/retry/"))

    told = answer.json()
    assert (answer.status_code, told["number"], told["cause"]["id"]) == (201, 2, Cause.RETRY.name.lower())
    assert told["source"]["id"] == build.source_id.hex
    assert answer.headers["Location"] == f"{API}/builds/{told['id']}/"


def test_a_message_is_said_told_and_taken_away(admin: TestClient, session: Session) -> None:
    first = admin.get(f"{API}/messages/").json()
    said = admin.post(f"{API}/messages/", data={"message": "Agents pause at noon."}).json()
    told = admin.get(f"{API}/messages/").json()
    taken = admin.post(f"{API}/messages/", data={"message": ""}).json()

    assert (first, taken, messages.current(session)) == (None, None, None)
    assert said == told
    assert (told["message"], told["user"]) == ("Agents pause at noon.", None)
