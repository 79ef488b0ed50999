"""…/comments/ of everything that can be talked about, and who may take what back."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_test, report
from tests.web.conftest import API, answered, first_step, job_of, open_client

from changes.builds.models import Build
from changes.people import tokens, users
from changes.people.rules import Scope
from changes.projects import changes
from changes.projects.changes import NewChange
from changes.results import testruns


@pytest.fixture
def build(session: Session) -> Build:
    return factories.a_build(session, factories.a_project(session, "web"))


def somebody(app: FastAPI, session: Session, email: str, scope: Scope = Scope.WRITE) -> TestClient:
    client = open_client(app)
    user = users.create(session, email, is_admin=scope == Scope.ADMIN)
    client.headers.update(factories.as_caller(tokens.create(session, "t", scope, user=user).secret))
    return client


@pytest.fixture
def zoe(app: FastAPI, session: Session) -> TestClient:
    return somebody(app, session, "zoe@example.com")


def targets(session: Session, build: Build) -> dict[str, str]:
    """An address of each kind."""
    step = first_step(session, build)
    report(session, step, [a_test("app.a", "failed")])
    change = changes.create(session, build.project.repository, NewChange(title="Mend it"))
    return {
        "change": f"/changes/{change.id.hex}/",
        "source": f"/sources/{build.source_id.hex}/",
        "build": f"/builds/{build.id.hex}/",
        "job": f"/jobs/{job_of(session, build).id.hex}/",
        "test": f"/tests/{failing_run(session, build)}/",
    }


def failing_run(session: Session, build: Build) -> str:
    ((run, _, _),) = testruns.failures_of_build(session, build.id, limit=1)
    return run.outside_id.hex


def say(client: TestClient, where: str, text: str, **more: Any) -> dict[str, Any]:
    answer = answered(client.post(f"{API}{where}comments/", json={"text": text, **more}))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def texts(client: TestClient, where: str) -> list[str]:
    return [each["text"] for each in client.get(f"{API}{where}comments/").json()]


def test_everything_that_can_be_talked_about_is(zoe: TestClient, session: Session, build: Build) -> None:
    for kind, where in targets(session, build).items():
        say(zoe, where, f"first of the {kind}")
        say(zoe, where, f"second of the {kind}")

        assert texts(zoe, where) == [f"second of the {kind}", f"first of the {kind}"]


def test_what_is_said_of_a_test_stands_with_its_other_runs(
    zoe: TestClient, session: Session, build: Build
) -> None:
    where = targets(session, build)["test"]
    other = factories.a_build(session, build.project)
    report(session, first_step(session, other), [a_test("app.a", "failed")])

    say(zoe, where, "It needs the network.")

    assert texts(zoe, f"/tests/{failing_run(session, other)}/") == ["It needs the network."]


def test_a_comment_is_of_a_line_only_where_there_are_lines(
    zoe: TestClient, session: Session, build: Build
) -> None:
    said = say(zoe, f"/sources/{build.source_id.hex}/", "why?", path="a", line=3)
    of_build = say(zoe, f"/builds/{build.id.hex}/", "why?", path="a", line=3)

    assert (said["path"], said["line"]) == ("a", 3)
    assert (of_build["path"], of_build["line"]) == (None, None)


def test_ones_own_words_are_taken_back(zoe: TestClient, build: Build) -> None:
    where = f"/builds/{build.id.hex}/"
    said = say(zoe, where, "wrong")

    assert zoe.delete(f"{API}/comments/{said['id']}/").status_code == 204
    assert texts(zoe, where) == []
    assert zoe.delete(f"{API}/comments/{said['id']}/").status_code == 404


def test_the_words_of_others_are_taken_back_by_administrators_alone(
    zoe: TestClient, app: FastAPI, session: Session, build: Build
) -> None:
    said = say(zoe, f"/builds/{build.id.hex}/", "mine")
    others = [
        somebody(app, session, f"{scope.name.lower()}@example.com", scope)
        for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN)
    ]

    answers = [other.delete(f"{API}/comments/{said['id']}/").status_code for other in others]

    assert answers == [403, 403, 204]


@pytest.mark.parametrize(
    "values",
    [{"text": ""}, {"text": " "}, {"text": "x" * 20_001}, {"text": "a\0b"}, {}],
)
def test_words_that_are_none_are_refused(zoe: TestClient, build: Build, values: dict[str, str]) -> None:
    answer = zoe.post(f"{API}/builds/{build.id.hex}/comments/", json=values)

    assert answer.status_code == 400
    assert texts(zoe, f"/builds/{build.id.hex}/") == []


def test_a_program_behind_which_nobody_stands_says_nothing(writer: TestClient, build: Build) -> None:
    answer = writer.post(f"{API}/builds/{build.id.hex}/comments/", json={"text": "x"})

    assert answer.status_code == 403
