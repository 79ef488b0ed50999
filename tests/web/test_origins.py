"""Searches for the commit that broke a test, by the API."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.results import searching
from tests.results.searching import COMMITS, NAME, build_at, sha
from tests.web.conftest import API, answered, refused

from changes.projects.models import Project
from changes.results import origin_search

HERE = f"{API}/projects/hello/origins/"


@pytest.fixture
def project(session: Session) -> Project:
    """Of which a test passes at the first commit and fails at the last."""
    made = searching.a_project(session, "hello")
    build_at(session, made, 1, passed=True)
    build_at(session, made, COMMITS, passed=False)
    return made


@pytest.mark.usefixtures("project")
def test_the_cost_is_told_without_beginning_anything(writer: TestClient) -> None:
    told = answered(
        writer.post(HERE, json={"test": NAME, "good": "", "bad": "", "parallel": 3, "estimate": True})
    ).json()

    assert (told["good"], told["bad"], told["unknown"]) == (sha(1), sha(COMMITS), COMMITS - 2)
    assert (told["builds"], told["rounds"], told["isKnown"]) == (4, 2, False)
    assert answered(writer.get(HERE)).json() == []


@pytest.mark.usefixtures("project")
def test_a_search_is_begun_shown_and_cancelled(writer: TestClient) -> None:
    begun = answered(writer.post(HERE, json={"test": NAME})).json()
    listed = answered(writer.get(HERE)).json()
    shown = answered(writer.get(f"{API}/origins/{begun['id']}/")).json()

    ended = answered(writer.post(f"{API}/origins/{begun['id']}/cancel/")).json()

    assert [each["id"] for each in listed] == [begun["id"]]
    assert [each["verdict"]["id"] for each in shown["commits"]] == [
        "bad",
        *["unknown"] * (COMMITS - 2),
        "good",
    ]
    assert (begun["state"]["id"], ended["state"]["id"]) == ("searching", "cancelled")


def test_a_test_may_be_named_by_its_digest(writer: TestClient, session: Session, project: Project) -> None:
    begun = answered(writer.post(HERE, json={"test": NAME})).json()
    origin_search.advance(origin_search.going_on(session)[0])

    again = answered(writer.post(HERE, json={"test": begun["test"]["hash"]})).json()

    assert again["id"] == begun["id"]
    assert again["project"]["slug"] == project.slug


@pytest.mark.usefixtures("project")
def test_a_test_that_nobody_knows_is_not_searched(writer: TestClient) -> None:
    told = refused(writer.post(HERE, json={"test": "nobody"}), 404)

    assert told["error"] == "The project hello has no such test."


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("commit", ["; rm -rf /", "xyz", "a" * 65])
def test_what_is_no_sha_is_refused(writer: TestClient, commit: str) -> None:
    assert writer.post(HERE, json={"test": NAME, "good": commit}).status_code in (400, 422)
