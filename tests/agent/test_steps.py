"""What commands do, and what the server hears of it."""

from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, eventually
from tests.fakes.coordinator import Coordinator

from changes.agent.verdict import TEARDOWN

pytestmark = pytest.mark.usefixtures("agent")


def test_a_step_whose_commands_all_succeed_passes(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("echo one", "echo two"))

    report = coordinator.final_of(step)

    assert (report.status, report.result, report.reason) == ("finished", "passed", None)
    assert [(each.id, each.status, each.return_code) for each in report.commands] == [
        ("c1", "finished", 0),
        ("c2", "finished", 0),
    ]


def test_the_console_tells_each_command_its_output_and_its_outcome(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("echo one", "exit 3"))

    coordinator.final_of(step)

    lines = step.console.splitlines()
    assert lines[:2] == ["$ echo one", "one"]
    assert lines[2].startswith("[passed in ")
    assert lines[3] == "$ exit 3"
    assert lines[4].startswith("[exit code 3 after ")


def test_the_first_failing_command_ends_the_step(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("exit 7", "echo never"))

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("failed", None)
    assert [each.return_code for each in report.commands] == [7]


def test_a_failing_infrastructure_command_is_not_the_fault_of_the_change(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step(a_command("exit 1", type="infra_setup")))

    assert coordinator.final_of(step).result == "infra_failed"


def test_teardown_commands_run_after_a_failure(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("exit 1", a_command("echo cleaned", id="c2", type=TEARDOWN)))

    report = coordinator.final_of(step)

    assert report.result == "failed"
    assert "\ncleaned\n" in step.console


def test_a_command_killed_by_a_signal_has_a_negative_return_code(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("kill -SEGV $$"))

    assert coordinator.final_of(step).commands[0].return_code == -11
    assert "[killed by SIGSEGV" in step.console


def test_stdout_and_stderr_keep_their_order(coordinator: Coordinator) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    step = coordinator.offer(a_step(script))

    coordinator.final_of(step)

    expected = [f"{stream} {number}" for number in range(1, 10) for stream in ("out", "err")]
    assert step.console.splitlines()[1:-1] == expected


def test_a_script_with_its_own_first_line_is_executed_by_that(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("#!/usr/bin/env python3\nprint(6 * 7)"))

    coordinator.final_of(step)

    assert "\n42\n" in step.console


def test_a_script_stops_at_its_first_failing_line(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("false\necho never"))

    assert coordinator.final_of(step).result == "failed"
    assert "\nnever\n" not in step.console


def test_a_command_that_cannot_be_started_fails_with_words(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("#!/no/such/interpreter"))

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("failed", "command_not_started")
    assert report.commands[0].return_code == 127


def test_commands_read_nothing_from_standard_input(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("wc -c"))

    coordinator.final_of(step)

    assert step.console.splitlines()[1] == "0"


def test_nothing_of_the_agent_is_in_the_environment(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "sings")
    step = coordinator.offer(
        a_step(
            a_command("env", env={"OF_COMMAND": "2", "BOTH": "command"}), env={"OF_STEP": "1", "BOTH": "step"}
        )
    )

    coordinator.final_of(step)

    lines = step.console.splitlines()[1:-1]
    shells_own = {"PWD", "SHLVL", "_", "OLDPWD"}
    names = {line.partition("=")[0] for line in lines} - shells_own
    base = {
        "PATH",
        "HOME",
        "LANG",
        "TERM",
        "TMPDIR",
        "CI",
        "CHANGES_STEP_MARK",
        "CHANGES_LOGS",
        "CHANGES_CARDS",
    }
    assert names == base | {"OF_STEP", "OF_COMMAND", "BOTH"}
    assert "BOTH=command" in lines


def test_the_output_of_a_collecting_command_is_reported_without_its_complaints(
    coordinator: Coordinator,
) -> None:
    step = coordinator.offer(a_step(a_command("echo warned >&2; echo '[1]'", captures_output=True)))

    report = coordinator.final_of(step)

    assert report.commands[0].output == "[1]\n"
    assert "warned" in step.console


def test_a_step_whose_time_is_up_fails_and_is_cleaned_up(coordinator: Coordinator) -> None:
    teardown = a_command("echo cleaned", id="c2", type=TEARDOWN)
    step = coordinator.offer(a_step("sleep 600", teardown, timeout_s=0.3))

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("failed", "timeout")
    assert "[timed out after" in step.console
    assert "\ncleaned\n" in step.console


@pytest.mark.parametrize("cwd", ["../..", "/etc", "a/../../.."])
def test_a_working_folder_outside_of_the_step_is_refused(coordinator: Coordinator, cwd: str) -> None:
    step = coordinator.offer(a_step(a_command("pwd", cwd=cwd)))

    report = coordinator.final_of(step)

    assert report.reason == "command_not_started"
    assert "leads out of the step's folder" in (report.message or "")


def test_an_offer_whose_id_is_a_path_is_passed_over(coordinator: Coordinator, home: Path) -> None:
    coordinator.offer(a_step("true", id="../../evil"))
    step = coordinator.offer(a_step("true", id="good"))

    assert coordinator.final_of(step).result == "passed"
    assert not (home.parent / "evil").exists()


def test_the_same_step_offered_twice_runs_once(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("echo ran; sleep 0.2"))
    with coordinator.changed:
        coordinator.waiting.append(step.offer.id)

    coordinator.final_of(step)

    assert step.console.count("\nran\n") == 1


def test_nothing_of_a_finished_step_stays_on_disk(coordinator: Coordinator, home: Path) -> None:
    step = coordinator.offer(a_step("mkdir deep; touch deep/file; chmod 500 deep; ln -s / link"))
    coordinator.final_of(step)

    eventually(lambda: not list((home / "steps").iterdir()) and not list((home / "trash").iterdir()))

    assert Path("/etc/passwd").exists()


def test_a_server_that_lost_its_answers_gets_everything_once(coordinator: Coordinator) -> None:
    coordinator.lose_answers(4)
    step = coordinator.offer(a_step("for i in 1 2 3; do echo line $i; sleep 0.05; done"))

    assert coordinator.final_of(step).result == "passed"
    assert step.console.splitlines()[1:-1] == ["line 1", "line 2", "line 3"]


def test_as_many_steps_run_at_once_as_there_are_slots(coordinator: Coordinator, tmp_path: Path) -> None:
    meet = f"touch {tmp_path}/$ME; until [ -e {tmp_path}/a -a -e {tmp_path}/b ]; do sleep 0.01; done"
    first = coordinator.offer(a_step(meet, id="a", env={"ME": "a"}))
    second = coordinator.offer(a_step(meet, id="b", env={"ME": "b"}))

    assert coordinator.final_of(first).result == "passed"
    assert coordinator.final_of(second).result == "passed"


def test_a_step_that_finds_no_room_on_disk_is_given_back(coordinator: Coordinator, home: Path) -> None:
    (home / "steps").rmdir()
    (home / "steps").write_text("in the way")
    step = coordinator.offer(a_step("true"))

    report = coordinator.final_of(step)

    assert (report.status, report.reason) == ("released", "agent_error")
