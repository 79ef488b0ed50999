"""Agents of the original: what they are told, and what becomes of what they say."""

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.factories import a_git_repository
from tests.web.conftest import Live, answered, refused
from tests.web.old_wire import HOST, OldAgent, OldScheduler, a_scheduler, a_waiting_step

from changes.base.ids import new
from changes.builds.models import FailureReason, JobStep, Node
from changes.builds.original import scripts
from changes.builds.queue_rules import NodeKind
from changes.builds.rules import Result, Status
from changes.protocol import Checkout

A_DIFF = b"--- a/word\n+++ b/word\n@@ -1 +1 @@\n-before\n+after\n"


@pytest.fixture
def scheduler(live: Live) -> OldScheduler:
    return a_scheduler(live)


@pytest.fixture
def agent(live: Live, scheduler: OldScheduler) -> OldAgent:
    a_waiting_step(live)
    return scheduler.take()


def state_of(live: Live, agent: OldAgent) -> tuple[Status, Result]:
    with live.database.transaction() as session:
        step = session.get_one(JobStep, UUID(agent.step_id))
        return step.status, step.result


def reasons_of(live: Live, agent: OldAgent) -> list[str]:
    with live.database.transaction() as session:
        found = session.query(FailureReason.reason).filter(FailureReason.step_id == UUID(agent.step_id))
        return sorted(row[0] for row in found)


# --- what it is told ---------------------------------------------------------------------


def test_an_agent_is_told_what_to_run(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, commands=["make test"], env={"A": "b"}, path="sub", artifacts=["*.xml"], cpus=2)
    agent = scheduler.take()

    told = agent.get().json()

    setup, command = told["commands"]
    assert setup["type"]["id"] == "infra_setup"
    assert "git clone" in setup["script"]
    assert (command["cwd"], command["artifacts"], command["captureOutput"]) == (
        "source/sub",
        ["*.xml"],
        False,
    )
    assert command["script"].startswith("#!/bin/bash")
    assert command["script"].endswith("make test")
    assert command["env"]["A"] == "b"
    assert command["env"]["CHANGES_STEP_ID"] == agent.step_id
    assert all(isinstance(value, str) for each in told["commands"] for value in each["env"].values())
    assert (told["snapshot"], told["expectedSnapshot"], told["resourceLimits"]) == (None, None, {"cpus": 2})
    assert {"slug", "name"} <= set(told["project"])
    assert "debugConfig" not in told


def test_a_script_that_says_who_reads_it_is_left_as_it_is(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, commands=["#!/usr/bin/env python3\nprint(1)"])

    _, command = scheduler.take().get().json()["commands"]

    assert command["script"] == "#!/usr/bin/env python3\nprint(1)"


def test_a_collecting_command_is_captured(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, commands=[{"script": "./list", "type": "collect_steps"}])

    _, command = scheduler.take().get().json()["commands"]

    assert (command["type"]["id"], command["captureOutput"]) == ("collect_steps", True)


def test_nobody_is_told_to_run_what_is_over(live: Live, agent: OldAgent) -> None:
    live.post(f"/jobsteps/{agent.step_id}/cancel/")

    refused(agent.get(), 409)


def test_the_script_of_a_checkout_checks_out_and_applies_the_patch(tmp_path: Path) -> None:
    sha = a_git_repository(tmp_path / "far; $(touch no)", {"word": "before\n"})
    where = Checkout(backend="git", url=str(tmp_path / "far; $(touch no)"), sha=sha, path="it's mine")

    for script in (scripts.checkout(where), scripts.patch(where, A_DIFF)):
        subprocess.run(["bash", "-c", scripts.BASH + script], cwd=tmp_path, check=True, timeout=120)

    assert (tmp_path / "it's mine" / "word").read_text() == "after\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far; $(touch no)", "it's mine"]


def test_a_branch_is_checked_out_by_its_name(tmp_path: Path) -> None:
    a_git_repository(tmp_path / "far", {"word": "here\n"})
    where = Checkout(backend="git", url=str(tmp_path / "far"), sha="main", path="near")

    subprocess.run(
        ["bash", "-c", scripts.BASH + scripts.checkout(where)], cwd=tmp_path, check=True, timeout=120
    )

    assert (tmp_path / "near" / "word").read_text() == "here\n"


# --- what it says ------------------------------------------------------------------------


def test_a_step_that_begins_moves_to_its_host(live: Live, agent: OldAgent) -> None:
    answer = agent.begin(f"{HOST}\n")

    assert answer.status_code == 200
    assert answer.json()["node"]["name"] == HOST
    assert state_of(live, agent)[0] == Status.IN_PROGRESS
    with live.database.transaction() as session:
        assert session.query(Node.kind).filter(Node.label == HOST).scalar() == NodeKind.LAUNCHED
    assert live.get(f"/nodes/hostname/{HOST}/").json()["isRevoked"] is False


def test_an_agent_cannot_say_that_it_is_a_machine_of_ours(live: Live, scheduler: OldScheduler) -> None:
    ours = live.agent("worker")
    a_waiting_step(live)
    agent = scheduler.take()

    agent.begin("worker\n")

    assert agent.heartbeat().json()["node"]["name"] == "worker (mesos)"
    assert ours.heartbeat(agent.step_id).json() == {"stop": [agent.step_id]}


def test_a_second_step_on_a_host_finds_its_node(live: Live, scheduler: OldScheduler) -> None:
    for _ in range(2):
        a_waiting_step(live)

    nodes = [scheduler.take().begin().json()["node"]["id"] for _ in range(2)]

    assert nodes[0] == nodes[1]


def test_a_step_passes(live: Live, agent: OldAgent) -> None:
    agent.begin()
    agent.run_all()

    answer = agent.end("passed")

    assert (answer.json()["status"]["id"], answer.json()["result"]["id"]) == ("finished", "passed")
    (command,) = live.get(f"/jobsteps/{agent.step_id}/").json()["commands"]
    assert command["returnCode"] == 0


def test_a_step_with_a_command_that_failed_has_not_passed(live: Live, agent: OldAgent) -> None:
    agent.begin()
    agent.run_all("1")

    agent.end("passed")

    assert state_of(live, agent) == (Status.FINISHED, Result.FAILED)
    assert reasons_of(live, agent) == ["command_failed"]


def test_a_checkout_that_failed_is_the_machinerys_fault(live: Live, agent: OldAgent) -> None:
    agent.begin()
    setup = agent.get().json()["commands"][0]["id"]
    agent.command(setup, status="finished", return_code="1")

    agent.end("infra_failed")

    assert state_of(live, agent) == (Status.FINISHED, Result.INFRA_FAILED)
    assert reasons_of(live, agent) == ["checkout_failed"]


def test_a_patch_that_does_not_apply_is_the_steps_fault(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, patch=A_DIFF)
    agent = scheduler.take()
    agent.begin()
    patch = agent.get().json()["commands"][1]
    agent.command(patch["id"], status="finished", return_code="1")

    agent.end("failed")

    assert patch["type"]["id"] == "setup"
    assert state_of(live, agent) == (Status.FINISHED, Result.FAILED)
    assert reasons_of(live, agent) == ["patch_failed"]


def test_what_a_collecting_command_printed_becomes_steps(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, commands=[{"script": "./list", "type": "collect_steps"}])
    agent = scheduler.take()
    agent.begin()
    output = json.dumps({"commands": [{"script": "one"}, {"script": "two"}]})
    command = agent.get().json()["commands"][1]["id"]

    agent.command(command, status="finished", return_code="0", output=output)
    agent.end("passed")

    assert [each["name"] for each in scheduler.waiting()] == ["one", "two"]


def test_output_that_nobody_can_use_fails_the_step_in_words(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live, commands=[{"script": "./list", "type": "collect_steps"}])
    agent = scheduler.take()
    agent.begin()
    command = agent.get().json()["commands"][1]["id"]

    answer = agent.command(command, status="finished", return_code="0", output="no JSON \0")
    agent.end("passed")

    assert answer.status_code == 200
    assert state_of(live, agent) == (Status.FINISHED, Result.FAILED)
    assert "malformed_artifact" in reasons_of(live, agent)


def test_metrics_are_kept_beside_the_step(agent: OldAgent) -> None:
    agent.report(metrics='{"one": 1}')

    answer = agent.report(metrics='{"two": 2.5, "odd": "x", "endless": 1e999, "true": true}')

    assert answer.json()["data"]["metrics"] == {"one": 1.0, "two": 2.5}


@pytest.mark.parametrize(
    ("metrics", "words"), [("x", "Metrics was not valid JSON"), ("[1]", "Metrics should be a JSON object")]
)
def test_other_metrics_are_refused(agent: OldAgent, metrics: str, words: str) -> None:
    assert refused(agent.report(metrics=metrics), 400)["message"] == words


# --- too late, twice, backwards ----------------------------------------------------------


def test_the_same_end_again_is_success(live: Live, agent: OldAgent) -> None:
    agent.begin()
    agent.run_all()

    statuses = [agent.end("passed").status_code for _ in range(2)]

    assert statuses == [200, 200]


@pytest.mark.parametrize("told", [{"status": "queued"}, {"status": "in_progress"}, {"result": "failed"}])
def test_nothing_leads_a_step_back(live: Live, agent: OldAgent, told: dict[str, str]) -> None:
    agent.begin()
    agent.run_all()
    agent.end("passed")

    answer = agent.report(**{"status": "finished", **told})

    assert answer.status_code == 200
    assert state_of(live, agent) == (Status.FINISHED, Result.PASSED)


def test_a_step_that_is_lost_stays_lost(live: Live, scheduler: OldScheduler, agent: OldAgent) -> None:
    agent.begin()
    scheduler.post(f"/jobsteps/{agent.step_id}/deallocate/", {})

    answers = [agent.begin(), agent.end("passed")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert state_of(live, agent) == (Status.FINISHED, Result.INFRA_FAILED)
    assert agent.heartbeat().json()["status"]["id"] == "finished"


def test_the_same_end_of_a_command_again_is_success_and_another_is_not(agent: OldAgent) -> None:
    agent.begin()
    command = agent.get().json()["commands"][1]["id"]
    agent.command(command, status="finished", return_code="0")

    again = agent.command(command, status="finished", return_code="0")
    other = agent.command(command, status="finished", return_code="1")

    assert (again.status_code, again.json()["returnCode"]) == (200, 0)
    assert refused(other, 400)["error"] == "Command already marked as finished"


# --- heartbeats --------------------------------------------------------------------------


def test_a_heartbeat_tells_how_the_step_is(live: Live, agent: OldAgent) -> None:
    agent.begin()

    told = agent.heartbeat().json()

    assert (told["status"]["id"], told["result"]["id"]) == ("in_progress", "unknown")
    assert live.get(f"/jobsteps/{agent.step_id}/").json()["lastHeartbeat"] is not None


def test_a_cancelled_step_is_gone(live: Live, agent: OldAgent) -> None:
    agent.begin()
    live.post(f"/jobsteps/{agent.step_id}/cancel/")

    assert refused(agent.heartbeat(), 410)["error"] == "Aborted"
    assert agent.end("aborted").status_code == 200
    assert state_of(live, agent) == (Status.FINISHED, Result.ABORTED)


# --- logs without a store ----------------------------------------------------------------


def test_text_is_added_to_a_log(live: Live, agent: OldAgent) -> None:
    where = f"/jobsteps/{agent.step_id}/logappend/"

    answers = [
        agent.post(where, source="console", text="one\n"),
        agent.post(where, source="console", text="two\n"),
        agent.post(where, source="console", text="two\n", offset="4"),
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert live.get(f"/jobsteps/{agent.step_id}/logs/console/", raw=1).text == "one\ntwo\n"
    refused(agent.post(where, source="console", text="x", offset="99"), 400)
    refused(agent.post(where, source="a/b", text="x"), 400)
    refused(agent.post(where, text="x"), 400)


# --- files without a store ---------------------------------------------------------------


def test_a_file_is_taken_once(live: Live, agent: OldAgent) -> None:
    def send(data: bytes, name: str = "out/junit.xml") -> httpx.Response:
        where = f"{agent.server}/jobsteps/{agent.step_id}/artifacts/"
        return answered(live.http.post(where, data={"name": name}, files={"file": ("junit.xml", data)}))

    first, again, outside = send(b"<one/>"), send(b"<two/>"), send(b"x", "../../etc/passwd")

    (kept,) = live.http.get(f"{agent.server}/jobsteps/{agent.step_id}/artifacts/").json()["artifacts"]
    assert (first.status_code, again.status_code) == (201, 204)
    assert (kept["id"], kept["name"], kept["size"]) == (first.json()["id"], "out/junit.xml", 6)
    refused(outside, 400)
    live.post(f"/jobsteps/{agent.step_id}/cancel/")
    refused(send(b"late", "b"), 410)


# --- hostile -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        {"status": "lost"},
        {"status": "finished", "result": "great"},
        {"status": "in_progress", "node": "x" * 2000},
    ],
)
def test_words_that_nobody_knows_are_refused(live: Live, agent: OldAgent, told: dict[str, str]) -> None:
    refused(agent.report(**told), 400)

    assert state_of(live, agent)[0] == Status.ALLOCATED


@pytest.mark.parametrize("node", ["", " \n", "a\u202eb", "\x1b[31m"])
def test_a_step_whose_host_has_no_name_stays_with_its_scheduler(agent: OldAgent, node: str) -> None:
    assert agent.begin(node).json()["node"]["name"] == "mesos"


@pytest.mark.parametrize("code", ["x", str(2**40), "1.5", "[]"])
def test_a_return_code_is_a_number(agent: OldAgent, code: str) -> None:
    command = agent.get().json()["commands"][1]["id"]

    refused(agent.command(command, status="finished", return_code=code), 400)


def test_too_much_is_refused_before_it_is_read(live: Live, agent: OldAgent) -> None:
    answer = live.http.post(f"{agent.server}/jobsteps/{agent.step_id}/", content=b"x" * (1024 * 1024 + 1))

    assert answer.status_code == 413


def test_the_address_of_a_step_opens_no_other(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    a_waiting_step(live)
    mine, other = scheduler.take(), scheduler.take()
    theirs = OldAgent(live.http, other.step_id, mine.server, mine.store)
    command = other.get().json()["commands"]

    answers: list[Any] = [
        theirs.get(),
        theirs.begin(),
        theirs.heartbeat(),
        theirs.open_bucket(),
        theirs.post(f"/jobsteps/{other.step_id}/logappend/", source="console", text="lies"),
        *(theirs.command(each["id"], status="finished", return_code="1") for each in command),
        theirs.command(new().hex, status="finished", return_code="1"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert state_of(live, other)[0] == Status.ALLOCATED


def test_no_snapshot_image_is_known(agent: OldAgent) -> None:
    refused(agent.post(f"/snapshotimages/{new().hex}/", status="active"), 404)
