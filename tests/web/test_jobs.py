"""What a build is made of, with its logs and the files it left behind."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.builds import queues
from tests.factories import a_build, a_node, give_to
from tests.web.conftest import API, Agent, Live, first_step, job_of, refused

from changes.base import storage
from changes.results.models import Artifact

TOLD = [
    {"name": "Compile", "return_code": 0, "duration_ms": 2500},
    {"name": "Link", "return_code": 2, "duration_ms": None},
]
HOSTILE = b"<script>alert(1)</script>\x1b]0;title\x07\n"


@pytest.fixture
def step(live: Live, agent: Agent) -> dict[str, Any]:
    live.build()
    return agent.next()[0]


def test_a_job_comes_with_its_logs(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"hello")
    job_id = step["env"]["CHANGES_JOB_ID"]

    told = live.get(f"/jobs/{job_id}/").json()

    [source] = told["logs"]
    assert told["build"] == {"id": step["build"]}
    assert told["project"]["slug"] == step["project"]
    assert (source["name"], source["size"], source["step"]["id"]) == ("console", 5, step["id"])
    assert source["urls"][0]["url"] == f"http://changes.test/api/0/jobs/{job_id}/logs/{source['id']}/?raw=1"


def test_phases_hold_steps_and_steps_hold_commands(reader: TestClient, session: Session) -> None:
    build = a_build(session, commands=("one", "two"))
    give_to(session, first_step(session, build), a_node(session, "builder"))

    [phase] = reader.get(f"{API}/jobs/{job_of(session, build).id.hex}/phases/").json()

    [step] = phase["steps"]
    assert [command["script"] for command in step["commands"]] == ["one", "two"]
    assert (step["node"]["name"], step["attempt"], step["logSources"]) == ("builder", 1, [])


def test_phases_that_a_step_told_of_stand_behind_its_own(reader: TestClient, session: Session) -> None:
    build = a_build(session)
    step = first_step(session, build)
    step.data = {**step.data, "phases": TOLD}

    answer = reader.get(f"{API}/jobs/{step.job_id.hex}/phases/")

    own, first, second = answer.json()
    assert (own["toldBy"], len(own["steps"])) == (None, 1)
    assert (first["name"], first["duration"], first["result"]["id"]) == ("Compile", 2500, "passed")
    assert (second["name"], second["duration"], second["result"]["id"]) == ("Link", None, "failed")
    assert first["toldBy"] == second["toldBy"] == {"id": step.id.hex}
    assert len({own["id"], first["id"], second["id"]}) == 3


def test_a_step_names_its_job_and_build(reader: TestClient, session: Session) -> None:
    build = a_build(session)
    step = first_step(session, build)

    told = reader.get(f"{API}/jobsteps/{step.id.hex}/").json()

    assert told["job"] == {"id": step.job_id.hex, "number": 1}
    assert told["build"] == {"id": build.id.hex}


# --- artifacts ---------------------------------------------------------------------------


def test_artifacts_are_listed_by_job_and_by_step(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    for name in ("b.txt", "a.txt"):
        agent.put(step["id"], name, b"x")

    of_job = live.get(f"/jobs/{step['env']['CHANGES_JOB_ID']}/artifacts/").json()
    of_step = live.get(f"/jobsteps/{step['id']}/artifacts/").json()["artifacts"]

    assert of_job == of_step
    assert [each["name"] for each in of_step] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("name", "offered"),
    [("out/page.html", "page.html"), ("é b.html", "%C3%A9%20b.html"), ('a"b\r\nX: y', "a%22b%0D%0AX%3A%20y")],
)
def test_an_artifact_is_downloaded_and_never_shown(
    live: Live, agent: Agent, step: dict[str, Any], name: str, offered: str
) -> None:
    agent.put(step["id"], name.replace("\r\n", "%0D%0A"), HOSTILE)
    [artifact] = live.get(f"/jobsteps/{step['id']}/artifacts/").json()["artifacts"]

    answer = live.get(f"/artifacts/{artifact['id']}/content/")

    assert answer.content == HOSTILE
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{offered}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["ETag"] == f'"{artifact["sha256"]}"'


def test_an_artifact_whose_bytes_are_gone_is_not_found(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    agent.put(step["id"], "a", b"x")
    with live.database.transaction() as session:
        artifact = session.query(Artifact).one()
    storage.storage.get().delete(artifact.key)

    refused(live.get(f"/artifacts/{artifact.id.hex}/content/"), 404)


# --- how many there are --------------------------------------------------------------------


def test_steps_that_go_on_are_counted_by_status_cluster_and_project(live: Live, agent: Agent) -> None:
    with live.database.transaction() as session:
        queues.a_queue(session, "first", 2, cpus=2, memory=512)
        queues.a_queue(session, "second", 1, cluster="linux")
    held = agent.next()[0]

    told = live.get("/jobsteps/aggregate_by_status/", check_resources=1).json()["jobsteps"]

    assert {name: each["count"] for name, each in told["global"].items()} == {
        "allocated": 1,
        "pending_allocation": 2,
    }
    assert told["global"]["allocated"]["jobstep_id"] == held["id"]
    assert told["by_project"]["first"]["allocated"]["cpus"] == 2
    assert told["by_project"]["second"]["pending_allocation"]["mem"] == 8192
    assert {cluster: set(each) for cluster, each in told["by_cluster"].items()} == {
        "": {"allocated", "pending_allocation"},
        "linux": {"pending_allocation"},
    }


def test_one_status_is_counted_alone(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    live.build()

    told = live.get("/jobsteps/aggregate_by_status/", status="allocated").json()["jobsteps"]["global"]

    assert list(told) == ["allocated"]
    assert set(told["allocated"]) == {"count", "created", "jobstep_id"}


@pytest.mark.parametrize("status", ["finished", "nonsense"])
def test_what_has_ended_is_not_counted(live: Live, status: str) -> None:
    refused(live.get("/jobsteps/aggregate_by_status/", status=status), 400)
