"""/builds/<id>/tests/ and /tests/<id>/: the tests of a build as clients of the original read them."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds.agents import leave_behind
from tests.finished import a_test, end, print_to, report
from tests.web.conftest import API, first_step, refused

from changes.base import ids
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.results import against_base, test_files

TESTS = [
    a_test("app.api.test_slow", duration_ms=900),
    a_test("app.api.test_bad", "failed", message="assert 1 == 2", owner="pay@example.com"),
    a_test("app.core.test_again", reruns=2, owner="core@example.com", duration_ms=50),
    a_test("app.core.test_once", reruns=1, duration_ms=40),
    a_test("app.core.test_left_out", "skipped", duration_ms=None),
    a_test("app.test_known", "quarantined_failed", duration_ms=3),
]


@pytest.fixture
def build(session: Session) -> Build:
    build = factories.a_build(session, factories.a_project(session, "server"))
    report(session, first_step(session, build), TESTS)
    return build


def listed(reader: TestClient, build: Build, **asked: Any) -> list[str]:
    answer = reader.get(f"{API}/builds/{build.id.hex}/tests/", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["shortName"] for each in answer.json()]


def test_the_slowest_comes_first_and_each_has_the_names_of_the_original(
    reader: TestClient, build: Build
) -> None:
    first = reader.get(f"{API}/builds/{build.id.hex}/tests/").json()[0]

    assert {
        name: first[name] for name in ("name", "package", "shortName", "duration", "result", "numRetries")
    } == {
        "name": "app.api.test_slow",
        "package": "app.api",
        "shortName": "test_slow",
        "duration": 900,
        "result": {"id": "passed", "name": "Passed"},
        "numRetries": 0,
    }
    assert first["project"] == {"id": build.project_id.hex}
    assert set(first) >= {"id", "hash", "job", "dateCreated"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"sort": "retries", "per_page": 2}, ["test_again", "test_once"]),
        ({"sort": "name", "per_page": 1}, ["test_bad"]),
        ({"sort": "name", "reverse": "true", "per_page": 1}, ["test_known"]),
        ({"reverse": "1", "per_page": 1}, ["test_left_out"]),
        ({"result": "skipped"}, ["test_left_out"]),
        ({"query": "CORE", "sort": "name", "per_page": 2, "page": 2}, ["test_once"]),
    ],
)
def test_a_list_is_narrowed_ordered_and_paged(
    reader: TestClient, build: Build, asked: dict[str, Any], names: list[str]
) -> None:
    assert listed(reader, build, **asked) == names


@pytest.mark.parametrize("asked", [{"sort": "beauty"}, {"result": "purple"}, {"per_page": 1001}])
def test_what_makes_no_sense_is_refused(reader: TestClient, build: Build, asked: dict[str, Any]) -> None:
    assert reader.get(f"{API}/builds/{build.id.hex}/tests/", params=asked).status_code == 400


def test_all_that_did_not_pass_is_told_what_failed_first(reader: TestClient, build: Build) -> None:
    found = reader.get(f"{API}/builds/{build.id.hex}/tests/failures").json()

    assert [(each["shortName"], each["result"]) for each in found] == [
        ("test_bad", "failed"),
        ("test_known", "quarantined_failed"),
        ("test_left_out", "skipped"),
    ]


def test_flaky_ones_are_those_that_were_run_again_more_than_once(reader: TestClient, build: Build) -> None:
    told = reader.get(f"{API}/builds/{build.id.hex}/flaky_tests/").json()

    assert (told["projectSlug"], told["repositoryUrl"]) == ("server", build.project.repository.url)
    assert told["flakyTests"]["count"] == 1
    (flaky,) = told["flakyTests"]["items"]
    assert (flaky["name"], flaky["author"]) == ("app.core.test_again", {"email": "core@example.com"})


def test_a_run_is_told_with_all_it_said_and_its_step(
    reader: TestClient, session: Session, build: Build
) -> None:
    step = first_step(session, build)
    print_to(session, step, b"begin\n")
    (failed, *_) = reader.get(f"{API}/builds/{build.id.hex}/tests/failures").json()

    told = reader.get(f"{API}/tests/{failed['test_id']}/").json()

    assert (told["message"], told["owner"], told["step"]["id"]) == (
        "assert 1 == 2",
        "pay@example.com",
        step.id.hex,
    )
    assert (told["logSource"]["name"], told["artifacts"]) == ("console", [])


def test_the_files_of_a_run_are_those_of_its_test(reader: TestClient, session: Session, build: Build) -> None:
    (failed, *_) = reader.get(f"{API}/builds/{build.id.hex}/tests/failures").json()
    step = first_step(session, build)
    leave_behind(session, step, b"...", f"{test_files.folder_of(failed['name'])}/shot.png")
    leave_behind(session, step, b"...", "notes.txt")

    told = reader.get(f"{API}/tests/{failed['test_id']}/").json()

    assert [(each["name"], each["type"]["id"]) for each in told["artifacts"]] == [("shot.png", "image")]


def test_a_run_that_nobody_knows_is_not_found(reader: TestClient) -> None:
    for unknown in (ids.new().hex, "f" * 32, "0" * 32):
        refused(reader.get(f"{API}/tests/{unknown}/"), 404)


# --- beside the base ---------------------------------------------------------------------


def test_news_of_a_build_tell_what_is_new_and_what_was_fixed(
    reader: TestClient, session: Session, build: Build
) -> None:
    end(session, build, Result.FAILED)
    after = factories.a_build(session, build.project)
    after.source = build.source
    report(session, first_step(session, after), [a_test("app.new", "failed"), a_test("app.api.test_bad")])

    told = reader.get(f"{API}/builds/{after.id.hex}/tests/news").json()

    assert told["base"]["number"] == build.number
    assert [(each["name"], each["news"]) for each in told["tests"]] == [("app.new", "new")]
    assert [each["name"] for each in told["fixed"]] == ["app.api.test_bad"]
    assert (told["isCut"], told["isFixedCut"]) == (False, False)


def test_news_of_a_build_say_where_not_all_were_compared(
    reader: TestClient, session: Session, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_base, "FAILURES_MAX", 1)
    end(session, build, Result.FAILED)
    after = factories.a_build(session, build.project)
    after.source = build.source
    report(session, first_step(session, after), [a_test(f"app.{name}", "failed") for name in "ab"])

    told = reader.get(f"{API}/builds/{after.id.hex}/tests/news").json()

    assert (len(told["tests"]), told["isCut"], told["failedInBase"]) == (1, True, 1)
