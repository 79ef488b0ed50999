"""/projects/<id>/tests/ and what stands below it: one test through time, packages, days, flaky ones."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_sha, a_test, end, report
from tests.web.conftest import API, first_step, refused

from changes.base import clock
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects import options
from changes.projects.models import Project, Revision
from changes.results import testdays

HERE = f"{API}/projects/server"
TESTS = [
    a_test("app.api.test_slow", duration_ms=900),
    a_test("app.api.test_fast", duration_ms=5),
    a_test("app.core.test_again", reruns=2, duration_ms=50),
]
BAD = a_test("app.api.test_fast", "failed", owner="pay@example.com")


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "server")


@pytest.fixture
def ended(session: Session, project: Project) -> Callable[..., Build]:
    def a_build(*tests: Any, result: Result = Result.PASSED, branch: str = "main") -> Build:
        sha = a_sha()
        build = factories.a_build(session, project)
        build.source = factories.a_source(session, project, sha=sha)
        revision = session.get_one(Revision, (project.repository_id, sha))
        revision.branches, revision.date_committed = [branch], clock.now()
        report(session, first_step(session, build), tests)
        end(session, build, result)
        testdays.sum_up(session)
        return build

    return a_build


def sha_of(reader: TestClient, name: str) -> str:
    return str(reader.get(f"{HERE}/teststats/", params={"query": name}).json()["tests"][0]["hash"])


def test_tests_are_those_of_the_latest_build_that_passed(
    reader: TestClient, ended: Callable[..., Build]
) -> None:
    ended(*TESTS)
    ended(a_test("app.new", "failed"), result=Result.FAILED)

    found = reader.get(f"{HERE}/tests/").json()

    assert [each["shortName"] for each in found] == ["test_slow", "test_again", "test_fast"]
    assert set(found[0]) == {"hash", "project", "duration", "name", "package", "shortName"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"min_duration": 50}, ["test_slow", "test_again"]),
        ({"query": "api", "sort": "name"}, ["test_fast", "test_slow"]),
        ({"query": "API"}, []),
    ],
)
def test_they_are_narrowed_and_ordered(
    reader: TestClient, ended: Callable[..., Build], asked: dict[str, Any], names: list[str]
) -> None:
    ended(*TESTS)

    found = reader.get(f"{HERE}/tests/", params=asked).json()

    assert [each["shortName"] for each in found] == names


def test_without_a_build_there_are_none(reader: TestClient, project: Project) -> None:
    assert reader.get(f"{HERE}/tests/").json() == []
    assert reader.get(f"{HERE}/testgroups/").json()["groups"] == []
    assert reader.get(f"{HERE}/teststats/").json() == {"days": [], "tests": []}


def test_a_test_tells_since_when_it_fails(reader: TestClient, ended: Callable[..., Build]) -> None:
    good, bad = ended(*TESTS), ended(BAD, result=Result.FAILED)

    told = reader.get(f"{HERE}/tests/{sha_of(reader, 'test_fast')}/").json()

    assert (told["name"], told["owner"], told["duration"]) == ("app.api.test_fast", "pay@example.com", 7)
    assert told["turning"] == {
        "branch": "main",
        "isFailing": True,
        "since": {"sha": bad.source.revision_sha, "build": {"number": bad.number}},
        "before": {"sha": good.source.revision_sha, "build": {"number": good.number}},
    }


def test_its_history_has_the_newest_run_of_each_commit_or_nothing(
    reader: TestClient, session: Session, ended: Callable[..., Build]
) -> None:
    ended(*TESTS)
    ended(a_test("app.other"))
    newest = ended(BAD, result=Result.FAILED)
    ended(*TESTS, branch="next")
    again = factories.a_build(session, newest.project)
    again.source = newest.source
    report(session, first_step(session, again), [TESTS[1]])
    sha = sha_of(reader, "test_fast")

    found = reader.get(f"{HERE}/tests/{sha}/history/", params={"branch": "main"}).json()

    assert [each and each["result"]["id"] for each in found] == ["passed", None, "passed"]
    assert found[0]["job"]["build"]["number"] == again.number
    assert len(reader.get(f"{HERE}/tests/{sha}/history/", params={"branch": "next"}).json()) == 1


def test_its_runs_are_walked_by_key(reader: TestClient, ended: Callable[..., Build]) -> None:
    builds = [ended(*TESTS) for _ in range(3)]
    where = f"{HERE}/tests/{sha_of(reader, 'test_slow')}/runs/"

    first = reader.get(where, params={"per_page": 2})
    second = reader.get(where, params={"per_page": 2, "after": first.json()[-1]["id"]})

    numbers = [each["build"]["number"] for each in [*first.json(), *second.json()]]
    assert numbers == [each.number for each in reversed(builds)]


def test_packages_lead_down_to_a_single_test(reader: TestClient, ended: Callable[..., Build]) -> None:
    build = ended(*TESTS)

    top = reader.get(f"{HERE}/testgroups/").json()
    below = reader.get(f"{HERE}/testgroups/", params={"parent": "app", "build_id": build.id.hex}).json()

    assert [(each["path"], each["numTests"]) for each in top["groups"]] == [("app", 3)]
    assert [(each["name"], each["totalDuration"]) for each in below["groups"]] == [
        ("api", 905),
        ("core.test_again", 50),
    ]
    assert below["trail"] == [{"path": "app", "name": "app"}]
    only = below["groups"][1]
    assert reader.get(f"{API}/tests/{only['id']}/").json()["name"] == "app.core.test_again"


def test_packages_of_another_projects_build_are_not_found(
    reader: TestClient, session: Session, project: Project
) -> None:
    other = factories.a_build(session)

    refused(reader.get(f"{HERE}/testgroups/", params={"build_id": other.id.hex}), 404)


def test_tests_that_are_too_slow_are_counted_where_the_project_says_from_when(
    reader: TestClient, session: Session, project: Project, ended: Callable[..., Build]
) -> None:
    ended(*TESTS)
    before = reader.get(f"{HERE}/testgroups/").json()["overThreshold"]

    options.change(session, project, {options.SLOW_TEST: "49"})

    assert before == {"count": 0, "duration": 0}
    assert reader.get(f"{HERE}/testgroups/").json()["overThreshold"] == {"count": 2, "duration": 950}


def test_flaky_tests_of_a_day_have_fifty_days_of_history(
    reader: TestClient, ended: Callable[..., Build]
) -> None:
    build = ended(*TESTS, a_test("app.once", reruns=1))
    # Of the server, which may have got there after midnight.
    today = reader.get(f"{HERE}/teststats/").json()["days"][-1]["date"]

    told = reader.get(f"{HERE}/flaky_tests/", params={"date": today}).json()

    worst, once = told["flakyTests"]
    assert (told["date"], len(told["chartData"]), len(worst["history"])) == (today, 50, 50)
    assert told["chartData"][0] == {
        "date": today,
        "flaky_runs": 2,
        "double_reruns": 1,
        "passing_runs": 4,
    }
    assert (worst["short_name"], worst["double_reruns"], once["short_name"]) == ("test_again", 1, "once")
    assert worst["build_id"] == build.id.hex
    assert worst["history"][0] == {
        "date": today,
        "flaky_runs": 1,
        "double_reruns": 1,
        "passing_runs": 1,
    }
    assert reader.get(f"{API}/tests/{worst['id']}/").json()["hash"] == worst["hash"]


def test_a_day_without_flaky_tests_is_told_as_one(reader: TestClient, ended: Callable[..., Build]) -> None:
    ended(*TESTS)
    told = reader.get(f"{HERE}/flaky_tests/").json()

    assert told["flakyTests"] == []
    assert told["date"] < clock.now().date().isoformat()


@pytest.mark.parametrize("day", ["yesterday", "0001-01-01", "9999-12-31"])
def test_a_day_that_no_test_has_run_on_is_refused(reader: TestClient, project: Project, day: str) -> None:
    refused(reader.get(f"{HERE}/flaky_tests/", params={"date": day}), 400)


def test_the_week_is_summed_up_by_what_tests_cost(reader: TestClient, ended: Callable[..., Build]) -> None:
    ended(*TESTS)
    ended(BAD, result=Result.FAILED)

    slowest = reader.get(f"{HERE}/teststats/").json()
    failing = reader.get(f"{HERE}/teststats/", params={"sort": "failing"}).json()

    sums = [sum(day[name] for day in slowest["days"]) for name in ("runs", "failed", "flaky", "duration")]
    assert (sums, slowest["days"][0]["tests"]) == ([4, 1, 1, 962], 3)
    assert slowest["tests"][0]["shortName"] == "test_slow"
    (failed,) = failing["tests"]
    assert (failed["shortName"], failed["failed"], failed["runs"], failed["duration"]) == (
        "test_fast",
        1,
        2,
        6,
    )


def test_a_test_that_nobody_knows_is_not_found(reader: TestClient, project: Project) -> None:
    for below in ("", "history/", "runs/"):
        refused(reader.get(f"{HERE}/tests/{'a' * 40}/{below}"), 404)


@pytest.mark.parametrize("sha", ["%00", "%ff", "a%2Fb", "%F0%9F%98%80", "%ED%A0%80", "x" * 3000])
def test_a_name_that_cannot_be_one_harms_nothing(reader: TestClient, project: Project, sha: str) -> None:
    for below in ("", "history/", "runs/"):
        assert reader.get(f"{HERE}/tests/{sha}/{below}").status_code in (400, 404)
