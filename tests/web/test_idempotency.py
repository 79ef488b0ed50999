"""A POST with an Idempotency-Key happens once, however often it is asked for."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_plan, a_project, a_repository, a_token, as_caller
from tests.web.conftest import API, Live, answered, refused

from changes.base.idempotency import StoredAnswer
from changes.builds.models import Build
from changes.people.models import Token
from changes.people.rules import Scope
from changes.projects.models import Plan, Project
from changes.projects.rules import RepositoryBackend

KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def project(session: Session) -> Project:
    return buildable(session)


def buildable(session: Session) -> Project:
    project = a_project(session, repository=a_repository(session, backend=RepositoryBackend.UNKNOWN))
    a_plan(session, project, {"commands": ["true"]})
    return project


def ask_for_build(
    client: TestClient, project: Project, caller: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    values = {"project": project.slug, "sha": "abc", **more}
    return answered(client.post(f"{API}/builds/", data=values, headers=KEY | (caller or {})))


def count(session: Session, kind: type[Any]) -> int:
    return session.execute(select(func.count()).select_from(kind)).scalar_one()


def test_the_same_request_again_gets_the_first_answer(
    writer: TestClient, session: Session, project: Project
) -> None:
    first, second = ask_for_build(writer, project), ask_for_build(writer, project)

    assert second.json() == first.json()
    assert second.status_code == first.status_code == 200
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Content-Type"] == "application/json"
    assert count(session, Build) == 1


def test_another_request_with_the_same_key_is_a_conflict(
    writer: TestClient, session: Session, project: Project
) -> None:
    ask_for_build(writer, project)

    other = ask_for_build(writer, project, label="another")

    assert refused(other, 409)["problems"] == ["Idempotency-Key"]
    assert count(session, Build) == 1


def test_the_same_key_at_another_address_is_a_conflict(writer: TestClient, session: Session) -> None:
    first, second = a_build(session), a_build(session)
    writer.post(f"{API}/builds/{first.id.hex}/cancel/", headers=KEY)

    answer = writer.post(f"{API}/builds/{second.id.hex}/cancel/", headers=KEY)

    refused(answer, 409)


def test_a_form_sent_again_is_the_same_request_though_its_boundary_is_another(
    writer: TestClient, session: Session, project: Project
) -> None:
    values = {"project": project.slug, "sha": "abc"}
    answers = [
        writer.post(f"{API}/builds/", data=values, files={"patch": ("p", b"+\xff")}, headers=KEY)
        for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert count(session, Build) == 1


def test_another_patch_is_another_request(writer: TestClient, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc"}
    answers = [
        writer.post(f"{API}/builds/", data=values, files={"patch": ("p", diff)}, headers=KEY)
        for diff in (b"+\xff", b"+\xfe")
    ]

    assert [answer.status_code for answer in answers] == [200, 409]


def test_two_askers_may_use_the_same_key(
    writer: TestClient, admin: TestClient, session: Session, project: Project
) -> None:
    first, second = ask_for_build(writer, project), ask_for_build(admin, project)

    assert first.json()[0]["id"] != second.json()[0]["id"]
    assert count(session, Build) == 2


def test_a_refusal_is_not_remembered(writer: TestClient, session: Session, project: Project) -> None:
    refused(ask_for_build(writer, project, tag="much-too-long-a-tag"), 400)

    answer = ask_for_build(writer, project, tag="short")

    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


def test_a_failure_leaves_nothing_behind(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with live.database.transaction() as session:
        project = buildable(session)
    with monkeypatch.context() as broken:
        broken.setattr("changes.web.shapes.build", fail)
        refused(ask_for_build(live.http, project, live.admin), 500)

    with live.database.transaction() as session:
        assert (count(session, Build), count(session, StoredAnswer)) == (0, 0)
    assert ask_for_build(live.http, project, live.admin).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_sensible_length(writer: TestClient, project: Project, key: str) -> None:
    values = {"project": project.slug, "sha": "abc"}

    answer = writer.post(f"{API}/builds/", data=values, headers={"Idempotency-Key": key})

    assert refused(answer, 400)["problems"] == ["Idempotency-Key"]


def test_nothing_to_cancel_stays_nothing_to_cancel(writer: TestClient, session: Session) -> None:
    where = f"{API}/builds/{a_build(session).id.hex}/cancel/"
    writer.post(where)

    answers = [writer.post(where, headers=KEY) for _ in range(2)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]


def test_plans_are_made_once_too(admin: TestClient, session: Session, project: Project) -> None:
    answers = [
        admin.post(f"{API}/projects/{project.slug}/plans/", json={"name": "new"}, headers=KEY)
        for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert session.query(Plan).filter(Plan.label == "new").count() == 1


@pytest.mark.parametrize("where", ["/tokens/", "/agents/tokens/"])
def test_a_secret_is_told_once_and_kept_nowhere(admin: TestClient, session: Session, where: str) -> None:
    first, second = (admin.post(API + where, json={"name": "robot"}, headers=KEY) for _ in range(2))

    secret = first.json()["token"]
    assert second.json() == {**first.json(), "token": None}
    assert second.status_code == first.status_code == 201
    assert all(secret.encode() not in (row.body or b"") for row in session.query(StoredAnswer))


def test_a_token_is_made_once(admin: TestClient, session: Session) -> None:
    for _ in range(2):
        admin.post(f"{API}/tokens/", json={"name": "robot"}, headers=KEY)

    assert session.query(Token).filter(Token.name == "robot").count() == 1


def test_requests_at_the_same_moment_make_one_build(live: Live, together: Callable[..., Future[Any]]) -> None:
    with live.database.transaction() as session:
        project = buildable(session)
        headers = as_caller(a_token(session, Scope.WRITE)) | KEY
    values = {"project": project.slug, "sha": "abc"}

    asked = [together(live.http.post, f"{API}/builds/", json=values, headers=headers) for _ in range(6)]

    answers = [each.result() for each in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()[0]["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 5
    with live.database.transaction() as session:
        assert count(session, Build) == 1
