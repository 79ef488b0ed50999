"""The real program: enrolment, signals, kill -9."""

import signal
import stat
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, agent_process, eventually, is_alive
from tests.fakes.coordinator import ENROL_TOKEN, Coordinator

pytestmark = pytest.mark.system
EXIT_WITHIN_S = 180.0


def test_an_agent_enrols_once_and_keeps_its_own_token_to_itself(coordinator: Coordinator, home: Path) -> None:
    for number in (1, 2):
        with agent_process(coordinator, home, "--slots", "3", "--label", "gpu=no"):
            step = coordinator.offer(a_step("true", id=f"s{number}"))
            assert coordinator.final_of(step).result == "passed"

    (enrolment,) = coordinator.enrolments
    assert (enrolment.name, enrolment.slots, enrolment.labels) == ("test-agent", 3, {"gpu": "no"})
    identity = home / "identity.json"
    assert stat.S_IMODE(identity.stat().st_mode) == 0o600
    assert ENROL_TOKEN not in identity.read_text()


def test_a_wrong_one_time_token_ends_the_agent_with_a_sentence(
    coordinator: Coordinator, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with agent_process(coordinator, home, "--enrol", "wrong") as agent:
        assert agent.wait(EXIT_WITHIN_S) == 3

    assert "unknown or used token" in capfd.readouterr().err


def test_a_revoked_agent_ends_with_a_sentence(
    coordinator: Coordinator, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step("echo $$; sleep 600"))
        coordinator.wait_for(lambda: len(step.console.splitlines()) > 1)

        with coordinator.changed:
            coordinator.is_revoked = True
            coordinator.changed.notify_all()

        assert agent.wait(EXIT_WITHIN_S) == 3
    assert "refuses this agent" in capfd.readouterr().err
    assert not is_alive(int(step.console.splitlines()[1]))


def test_a_second_agent_in_one_home_is_refused(
    coordinator: Coordinator, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with agent_process(coordinator, home):
        coordinator.wait_for(lambda: coordinator.enrolments)
        with agent_process(coordinator, home) as second:
            assert second.wait(EXIT_WITHIN_S) == 3

    assert "Another agent is running" in capfd.readouterr().err


def test_an_agent_told_to_end_gives_its_steps_back(coordinator: Coordinator, home: Path) -> None:
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step("echo $$; sleep 600"))
        coordinator.wait_for(lambda: len(step.console.splitlines()) > 1)

        agent.send_signal(signal.SIGTERM)

        assert agent.wait(EXIT_WITHIN_S) == 0
    report = coordinator.final_of(step)
    assert (report.status, report.reason) == ("released", "agent_stopped")
    assert not is_alive(int(step.console.splitlines()[1]))


def test_an_agent_ends_although_the_server_is_away_and_tells_it_next_time(
    coordinator: Coordinator, home: Path
) -> None:
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step("echo started; sleep 600"))
        coordinator.wait_for(lambda: "\nstarted\n" in step.console)
        coordinator.go_away()

        agent.send_signal(signal.SIGTERM)

        assert agent.wait(EXIT_WITHIN_S) == 0
    coordinator.come_back()
    with agent_process(coordinator, home):
        assert coordinator.final_of(step).reason == "agent_stopped"


def test_an_agent_killed_in_a_step_reports_it_at_its_next_start(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    script = f"setsid sleep 600 & echo $! > {tmp_path}/daemon; echo $$; sleep 600"
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step(script))
        coordinator.wait_for(lambda: len(step.console.splitlines()) > 1)
        agent.kill()
        agent.wait()
    command, daemon = int(step.console.splitlines()[1]), int((tmp_path / "daemon").read_text())
    assert is_alive(command)
    assert is_alive(daemon)

    with agent_process(coordinator, home):
        report = coordinator.final_of(step)
        eventually(lambda: not list((home / "steps").iterdir()))

    assert (report.status, report.reason) == ("released", "agent_restarted")
    assert not is_alive(command)
    assert not is_alive(daemon)


def test_an_agent_killed_after_a_step_hands_in_its_result(coordinator: Coordinator, home: Path) -> None:
    work = "printf 1 > a.xml; until [ -e away ]; do sleep 0.01; done; echo the end"
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step(a_command(work, artifacts=["*.xml"])))
        coordinator.wait_for(lambda: step.reports)
        coordinator.go_away()
        folder = home / "steps" / step.offer.id
        eventually((folder / "work").is_dir)
        (folder / "work" / "away").touch()
        eventually((folder / "report.json").exists)
        agent.kill()
        agent.wait()

    coordinator.come_back()
    with agent_process(coordinator, home):
        report = coordinator.final_of(step)

    assert (report.status, report.result) == ("finished", "passed")
    assert step.console.count("\nthe end\n") == 1
    assert step.artifacts == {"a.xml": b"1"}


def test_a_daemon_that_shed_parent_session_and_environment_ends_with_its_step(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "daemon"
    hidden = f"env -i /usr/bin/setsid /bin/sh -c '/bin/sleep 600 & echo $! > {pid_file}'"
    with agent_process(coordinator, home):
        step = coordinator.offer(a_step(hidden))
        assert coordinator.final_of(step).result == "passed"

        assert not is_alive(int(pid_file.read_text()))


def test_orphans_that_end_by_themselves_leave_no_zombies(coordinator: Coordinator, home: Path) -> None:
    script = "for i in 1 2 3 4 5; do (setsid sleep 0.01 &); done; touch spawned; sleep 600"
    with agent_process(coordinator, home) as agent:
        step = coordinator.offer(a_step(script))
        eventually((home / "steps" / step.offer.id / "work" / "spawned").exists)

        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
        eventually(lambda: not children.read_text().split())


def test_an_agent_needs_little_memory(coordinator: Coordinator, home: Path) -> None:
    with agent_process(coordinator, home) as agent:
        coordinator.final_of(coordinator.offer(a_step("true")))
        eventually(lambda: not list((home / "steps").iterdir()))

        memory = dict(
            line.split(":") for line in Path(f"/proc/{agent.pid}/smaps_rollup").read_text().splitlines()[1:]
        )

    assert int(memory["Pss"].split()[0]) < 40 * 1024


def test_secrets_of_the_agents_environment_stay_there(coordinator: Coordinator, home: Path) -> None:
    with agent_process(coordinator, home, env={"CANARY": "sings", "CHANGES_ENROL_TOKEN": "hush-hush"}):
        step = coordinator.offer(a_step("env"))
        coordinator.final_of(step)

    assert "sings" not in step.console
    assert "hush-hush" not in step.console
