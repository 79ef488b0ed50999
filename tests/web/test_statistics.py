import csv
import io
from itertools import pairwise

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import finished, work
from tests.web.conftest import API, refused

from changes.base import clock
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import models, verdict_models

HERE = f"{API}/projects/server"


@pytest.fixture
def counted(session: Session) -> Project:
    project = work.a_project(session, "server")
    results = (Result.PASSED, Result.FAILED, Result.INFRA_FAILED)
    work.count(session, [work.an_ended_build(session, project, each) for each in results])
    return project


@pytest.mark.usefixtures("counted")
def test_a_project_tells_how_much_was_built_and_how_green(reader: TestClient) -> None:
    told = reader.get(f"{HERE}/statistics/").json()

    assert told["total"]["results"] == {"passed": 1, "failed": 1, "infra_failed": 1}
    assert (told["total"]["count"], told["total"]["passRate"]) == (3, 0.5)
    assert told["total"]["durationP50"] == pytest.approx(work.BUILD_S, rel=0.2)
    assert len(told["days"]) == 30
    assert [(plan["name"], plan["count"]) for plan in told["plans"]] == [(work.PLAN, 3)]
    assert [step["duration"] for step in told["slowest"]] == [work.STEP_S] * 3


@pytest.mark.usefixtures("counted")
def test_all_projects_together_tell_what_their_machines_did(reader: TestClient) -> None:
    told = reader.get(f"{API}/statistics/", params={"days": 7}).json()

    assert told["total"]["count"] == 3
    assert len(told["nodes"]) == 3
    assert all(node["name"].startswith("node-") for node in told["nodes"])


def test_what_flaky_tests_cost_is_told_too(reader: TestClient, session: Session, counted: Project) -> None:
    test = models.Test(project_id=counted.id, name_sha="0" * 40, name="a.b")
    session.add(test)
    session.flush()
    evidence = {"runs": 9, "sources": 4, "split_sources": 1, "passed_again": 2, "lone_failures": 0}
    bill = {"reruns": 3, "red_builds": 2, "lost_ms": 60_000}
    session.add(
        verdict_models.TestFlakiness(
            test_id=test.id,
            project_id=counted.id,
            score=50,
            last_run=1,
            date_modified=clock.now(),
            **evidence,
            **bill,
        )
    )
    session.flush()

    of_project, of_all = (reader.get(f"{at}/statistics/").json()["flaky"] for at in (HERE, API))

    assert of_project == of_all == {"days": 30, "tests": 1, "reruns": 3, "redBuilds": 2, "lostMs": 60_000}


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("asked", "count"),
    [({"result": "failed"}, 1), ({"of": "patches"}, 0), ({"of": "commits"}, 3), ({"days": "1"}, 3)],
)
def test_numbers_can_be_narrowed(reader: TestClient, asked: dict[str, str], count: int) -> None:
    assert reader.get(f"{HERE}/statistics/", params=asked).json()["total"]["count"] == count


@pytest.mark.usefixtures("counted")
def test_one_plan_is_told_by_its_jobs(reader: TestClient) -> None:
    plan = reader.get(f"{HERE}/statistics/").json()["plans"][0]["id"]

    told = reader.get(f"{HERE}/statistics/", params={"plan": plan}).json()

    assert told["total"]["durationP50"] == pytest.approx(work.STEP_S, rel=0.2)


@pytest.mark.usefixtures("counted")
def test_each_table_of_it_is_a_file_for_spreadsheets(reader: TestClient) -> None:
    answer = reader.get(f"{HERE}/statistics/", params={"format": "csv", "table": "plans"})

    head, row = csv.reader(io.StringIO(answer.text))
    assert dict(zip(head, row, strict=True))["results.passed"] == "1"


@pytest.mark.parametrize("asked", [{"days": "0"}, {"days": "1000"}, {"of": "all"}, {"result": "green"}])
@pytest.mark.usefixtures("counted")
def test_what_cannot_be_asked_is_refused(reader: TestClient, asked: dict[str, str]) -> None:
    refused(reader.get(f"{HERE}/statistics/", params=asked), 400)


def test_one_number_through_time_is_told_as_ever(
    reader: TestClient, session: Session, counted: Project
) -> None:
    build = finished.an_ended_build(session, counted)
    session.add(models.ItemStat(item_id=build.id, name="test_count", value=12))
    session.flush()

    told = reader.get(f"{HERE}/stats/", params={"stat": "test_count", "resolution": "1w", "points": 3}).json()

    assert [point["value"] for point in told] == [0, 0, 12]
    assert {later["time"] - sooner["time"] for sooner, later in pairwise(told)} == {7 * 86_400_000}


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"stat": "colour"},
        {"stat": "test_count", "resolution": "1y"},
        {"stat": "test_count", "agg": "max"},
        {"stat": "test_count", "points": "401"},
        {"stat": "test_count", "from": "-1"},
    ],
)
def test_another_number_is_refused(reader: TestClient, asked: dict[str, str]) -> None:
    refused(reader.get(f"{HERE}/stats/", params=asked), 400)


@pytest.mark.usefixtures("counted")
def test_a_project_says_how_green_its_week_was(reader: TestClient) -> None:
    told = reader.get(f"{HERE}/").json()["stats"]

    assert told == {
        "greenPercent": 50,
        "previousGreenPercent": None,
        "avgDuration": work.BUILD_S * 1000,
        "previousAvgDuration": None,
    }
