"""Steps that are stopped, and processes that try to stay."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, eventually, is_alive, running_agent
from tests.fakes.coordinator import Coordinator

from changes.agent import steps
from changes.agent.processes import Identity, Seen, Tree, kill_tree, members
from changes.agent.verdict import TEARDOWN

DAEMON = "setsid sh -c 'sleep 600 & echo $! > {folder}/daemon' & wait; "


def test_cancelling_kills_the_command_and_its_daemons(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(DAEMON.format(folder=tmp_path) + "sleep 600"))
        eventually(lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text().strip())

        coordinator.cancel(step.offer.id)

        assert coordinator.final_of(step).result == "aborted"
    assert not is_alive(int((tmp_path / "daemon").read_text()))
    assert not list((home / "steps").iterdir())


def test_what_was_set_up_is_put_away_after_a_cancel_and_the_result_stays(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    put_away = a_command(f"echo away > {tmp_path}/away", id="c2", type=TEARDOWN)
    never = a_command(f"echo never > {tmp_path}/never", id="c3")
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(f"touch {tmp_path}/begun; sleep 600", never, put_away))
        eventually((tmp_path / "begun").exists)

        coordinator.cancel(step.offer.id)

        assert coordinator.final_of(step).result == "aborted"
    assert (tmp_path / "away").read_text() == "away\n"
    assert not (tmp_path / "never").exists()


def test_an_agent_that_stops_does_not_wait_for_what_cleans_up_after_a_cancel(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    endless = a_command(f"touch {tmp_path}/cleaning; sleep 600", id="c2", type=TEARDOWN)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(f"touch {tmp_path}/begun; sleep 600", endless))
        eventually((tmp_path / "begun").exists)
        coordinator.cancel(step.offer.id)
        eventually((tmp_path / "cleaning").exists)

    assert not list((home / "steps").iterdir())


def test_cleaning_up_after_a_cancel_has_a_limit(
    coordinator: Coordinator, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LATE_TEARDOWN_S", 0.1)
    endless = a_command(f"touch {tmp_path}/cleaning; sleep 600", id="c2", type=TEARDOWN)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(f"touch {tmp_path}/begun; sleep 600", endless))
        eventually((tmp_path / "begun").exists)

        coordinator.cancel(step.offer.id)

        assert coordinator.final_of(step).result == "aborted"


def test_a_daemon_serves_the_next_command_and_ends_with_the_step(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    start = DAEMON.format(folder=tmp_path)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(start, f"kill -0 $(cat {tmp_path}/daemon)"))

        assert coordinator.final_of(step).result == "passed"
    assert not is_alive(int((tmp_path / "daemon").read_text()))


def test_a_process_deaf_to_term_is_killed(tmp_path: Path) -> None:
    tree = Tree("0123")
    with subprocess.Popen(
        ["/bin/sh", "-c", f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.05; done"],
        env={"CHANGES_STEP_MARK": tree.mark},
    ) as process:
        eventually((tmp_path / "deaf").exists)

        kill_tree(tree, grace_s=0.1)

    assert process.returncode == -9


def test_a_step_the_server_calls_over_is_killed_and_forgotten(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("while :; do echo still here; sleep 0.05; done"))
        coordinator.wait_for(lambda: step.logs)
        with coordinator.changed:
            del coordinator.steps[step.offer.id]

        eventually(lambda: not list((home / "steps").iterdir()))


def test_a_stopped_agent_gives_its_steps_back(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("echo started; sleep 600"))
        coordinator.wait_for(lambda: "\nstarted\n" in step.console)

    report = coordinator.final_of(step)
    assert (report.status, report.reason, report.result) == ("released", "agent_stopped", None)


def test_what_was_done_when_the_agent_was_stopped_is_handed_in(
    coordinator: Coordinator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_processes = steps.StepRun._end_processes

    def stop_in_the_last_moment(step: steps.StepRun) -> None:
        step.stop("agent_stopped")
        end_processes(step)

    monkeypatch.setattr(steps.StepRun, "_end_processes", stop_in_the_last_moment)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("echo one"))

        report = coordinator.final_of(step)

    assert (report.status, report.result) == ("finished", "passed")


def seen(pid: int, parent: int, session: int, mark: str | None = None) -> Seen:
    return Seen(Identity(pid, 100 + pid), parent, session, mark)


LEADER = seen(10, 1, 10, "ours")


def found(*processes: Seen, is_alone: bool = False, adopted: tuple[int, ...] = ()) -> set[int]:
    tree = Tree("ours", (LEADER.identity,), is_alone)
    return {each.pid for each in members(processes, tree, adopted)}


def test_marked_processes_and_those_below_them_belong_to_the_step() -> None:
    assert found(LEADER, seen(11, 10, 11), seen(12, 11, 12), seen(20, 1, 20, "theirs")) == {10, 11, 12}


def test_a_process_without_environment_is_known_by_its_session() -> None:
    assert found(seen(11, 1, 10)) == {11}


def test_a_session_of_somebody_who_has_the_same_number_later_is_not_ours() -> None:
    later = Seen(Identity(10, 999), 1, 10, None)

    assert found(later, seen(11, 10, 10)) == set()


def test_a_nameless_orphan_is_ours_only_when_no_other_step_runs() -> None:
    orphan = seen(11, os.getpid(), 11)

    assert found(orphan, adopted=(11,)) == set()
    assert found(orphan, adopted=(11,), is_alone=True) == {11}
