"""An agent dies, stops, is sent away or cannot work: what becomes of its steps."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.faults.gates import Gate, begun, begun_step, plan, reasons, results
from tests.scenarios.running import RunningSystem, eventually, processes_in

pytestmark = pytest.mark.system
EXIT_REFUSED = 3
# The sweep looks every 10 s.
SWEPT_WITHIN_S = 300.0


def test_a_killed_agent_that_starts_again_gives_its_step_back_at_once(
    system: RunningSystem, gate: Gate
) -> None:
    build_id, step_id = begun(system, gate.waiting)

    system.agent.kill()
    system.agent.start()
    eventually(lambda: len(system.api.attempts(build_id)) == 2)
    eventually(lambda: not processes_in(folder_of(system, step_id)))
    gate.open()

    build = system.api.finished(build_id)
    assert (build["result"]["id"], build["failures"]) == ("passed", [])
    assert [each["text"] for each in build["lostAttempts"]] == [
        "The agent tester was started again while it worked on this."
    ]
    assert results(system.api.attempts(build_id)) == ["infra_failed", "passed"]


@pytest.mark.long
def test_a_killed_agent_that_stays_away_is_missed_and_the_build_says_so(
    system: RunningSystem, gate: Gate
) -> None:
    build_id, _ = begun(system, gate.waiting)
    gate.open()

    system.agent.kill()

    def is_missed() -> bool:
        # Again and again: the server may still answer what the agent asked before it died.
        let_the_silence_last(system)
        build = system.api.get(f"/builds/{build_id}/")
        waiting = build["waiting"] or ""
        return bool(build["lostAttempts"]) and waiting.startswith("No agent was heard of within 60 seconds")

    eventually(is_missed, SWEPT_WITHIN_S)
    lost = system.api.get(f"/builds/{build_id}/")
    assert reasons(lost["lostAttempts"]) == ["agent_lost"]
    assert lost["status"]["id"] != "finished"
    system.agent.start()
    assert system.api.finished(build_id)["result"]["id"] == "passed"


def let_the_silence_last(system: RunningSystem) -> None:
    """What a minute does; waiting for less would lose agents of a machine that is only busy."""
    with system.database.engine.begin() as connection:
        connection.execute(text("update node set date_last_seen = now() - interval '1 hour'"))
        connection.execute(text("update job_step set last_heartbeat = now() - interval '1 hour'"))


def test_an_agent_that_is_told_to_stop_hands_its_steps_back(system: RunningSystem, gate: Gate) -> None:
    build_id, step_id = begun(system, gate.waiting)

    exit_code = system.agent.stop()

    assert exit_code == 0
    assert processes_in(folder_of(system, step_id)) == []
    given_back = system.api.get(f"/builds/{build_id}/")
    assert reasons(given_back["lostAttempts"]) == ["agent_stopped"]
    assert results(system.api.attempts(build_id)) == ["infra_failed", "unknown"]
    system.agent.start()
    gate.open()
    assert system.api.finished(build_id)["result"]["id"] == "passed"


def test_cancelling_kills_everything_a_step_has_started(system: RunningSystem, gate: Gate) -> None:
    daemons = "setsid sleep 300 & (sleep 300 & sleep 300) & "
    build_id, step_id = begun(system, daemons + gate.waiting)
    assert len(processes_in(folder_of(system, step_id))) >= 4

    answer = system.api.post(f"/builds/{build_id}/cancel/")

    assert answer["result"]["id"] == "aborted"
    eventually(lambda: not processes_in(folder_of(system, step_id)))
    assert system.api.post(f"/builds/{build_id}/cancel/") is None
    assert results(system.api.attempts(build_id)) == ["aborted"]


def test_an_agent_whose_key_was_revoked_ends_and_its_step_goes_to_the_next(
    system: RunningSystem, gate: Gate
) -> None:
    build_id, step_id = begun(system, gate.waiting)
    identity = system.home / "agent" / "identity.json"
    node_id = json.loads(identity.read_text())["node_id"]

    system.api.post(f"/nodes/{node_id}/revoke/")

    eventually(lambda: not system.agent.is_running)
    assert system.agent.stop() == EXIT_REFUSED
    assert "The server refuses this agent" in system.agent.said
    assert processes_in(folder_of(system, step_id)) == []
    assert system.api.get(f"/builds/{build_id}/")["status"]["id"] != "finished"
    enrol_again(system, identity)
    begun_step(system.api, build_id, attempt=2)
    gate.open()
    build = system.api.finished(build_id)
    assert build["result"]["id"] == "passed"
    assert len(build["lostAttempts"]) == 1


def enrol_again(system: RunningSystem, identity: Path) -> None:
    identity.unlink()
    token = system.api.post("/agents/tokens/")["token"]
    system.agent.env = {**system.agent.env, "CHANGES_ENROL_TOKEN": token}
    system.agent.start()


def test_a_source_that_cannot_be_checked_out_ends_the_build_with_the_reason(system: RunningSystem) -> None:
    system.agent.stop()
    slug = system.project(plan("echo never"))
    build_id = system.api.build(slug)
    shutil.rmtree(system.repository_of(slug))

    system.agent.start()

    build = system.api.finished(build_id)
    assert build["result"]["id"] == "infra_failed"
    assert reasons(build["failures"]) == ["checkout_failed", "replaced_too_often"]
    assert build["failures"][0]["text"].startswith("The source could not be checked out: ")


def folder_of(system: RunningSystem, step_id: str) -> Path:
    return system.home / "agent" / "steps" / step_id
