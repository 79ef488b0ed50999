"""What an agent finds on its disk, and what it does when that is full, damaged or foreign; and odd clocks."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, agent_process, eventually, running_agent
from tests.fakes.coordinator import Coordinator, StepSeen
from tests.faults.gates import Gate, assert_counted_without_holes

from changes.agent import retrying
from changes.agent.spool import Running, StepFolder

# Of Debian's package faketime; its folder is called like the architecture.
CLOCK = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/usr/lib/faketime/libfaketime.so.1"))
WITHIN_S = 200


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "open")


# --- what lies there at a start ----------------------------------------------------------


def a_left_step(home: Path, name: str = "step-1") -> Path:
    folder = home / "steps" / name
    (folder / "logs").mkdir(parents=True)
    StepFolder(folder).note_running(Running("no such mark"))
    return folder


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"status": "odd"}', b"[]", b"null"])
def test_a_damaged_report_is_given_back_as_unfinished(
    coordinator: Coordinator, home: Path, content: bytes
) -> None:
    folder = a_left_step(home)
    (folder / "report.json").write_bytes(content)
    (folder / "running.json").write_bytes(content)
    step = coordinator.offer(a_step("true"))
    coordinator.waiting.clear()

    with running_agent(coordinator, home):
        report = coordinator.final_of(step)
        eventually(lambda: not folder.exists())

    assert (report.status, report.reason) == ("released", "agent_restarted")


def test_a_report_of_a_newer_version_is_handed_in(coordinator: Coordinator, home: Path) -> None:
    folder = a_left_step(home)
    (folder / "report.json").write_text('{"status": "finished", "result": "passed", "mood": "fine"}')
    step = coordinator.offer(a_step("true"))
    coordinator.waiting.clear()

    with running_agent(coordinator, home):
        assert coordinator.final_of(step).result == "passed"


def test_damaged_labels_of_artifacts_do_not_hold_back_the_result(
    coordinator: Coordinator, home: Path
) -> None:
    folder = a_left_step(home)
    (folder / "report.json").write_text('{"status": "finished", "result": "failed"}')
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "odd.label").write_bytes(b"\xff")
    step = coordinator.offer(a_step("true"))
    coordinator.waiting.clear()

    with running_agent(coordinator, home):
        assert coordinator.final_of(step).result == "failed"


def test_what_is_no_step_is_left_as_it_is(
    coordinator: Coordinator, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    steps = home / "steps"
    steps.mkdir(parents=True)
    (steps / "note").write_text("by somebody")
    (steps / ".hidden").mkdir()
    (steps / "link").symlink_to(tmp_path / "elsewhere")

    with running_agent(coordinator, home):
        assert coordinator.final_of(coordinator.offer(a_step("true"))).result == "passed"

    assert sorted(path.name for path in steps.iterdir()) == [".hidden", "link", "note"]
    assert caplog.text.count("is no step of this agent") == 3


def test_steps_that_wait_to_be_handed_in_count_as_alive(coordinator: Coordinator, home: Path) -> None:
    """Else a server that hears of nothing for a minute would give them to others."""
    folder = a_left_step(home)
    (folder / "report.json").write_text('{"status": "finished", "result": "passed"}')
    coordinator.offer(a_step("true"))
    coordinator.waiting.clear()
    coordinator.is_busy = True

    with running_agent(coordinator, home):
        coordinator.wait_for(lambda: any("step-1" in each.steps for each in coordinator.heartbeats))


# --- an hour without a server ------------------------------------------------------------


def test_a_server_that_is_away_for_long_hears_everything_in_order(
    coordinator: Coordinator, home: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many attempts as in an hour of the longest pauses."""
    monkeypatch.setattr(retrying, "LONGEST_DELAY_S", 0.001)
    monkeypatch.setattr(retrying, "FIRST_DELAY_S", 0.001)
    attempts = attempts_of(monkeypatch)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(a_command(gate.counting + "; echo 1 > a.txt", artifacts=["a.txt"])))
        coordinator.wait_for(lambda: "line 3\n" in step.console)
        coordinator.go_away()
        before = attempts()
        eventually(lambda: attempts() > before + 720, 240)
        gate.open()
        eventually((home / "steps" / step.offer.id / "report.json").exists)
        coordinator.come_back()

        assert coordinator.final_of(step).result == "passed"

    assert_counted_without_holes(step.console.encode())
    assert step.artifacts == {"a.txt": b"1\n"}


def attempts_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    waits: list[None] = []
    wait = retrying.Retrying._wait

    def counted(self: retrying.Retrying, delay_s: float, is_given_up: Callable[[], bool]) -> None:
        waits.append(None)
        wait(self, delay_s, is_given_up)

    monkeypatch.setattr(retrying.Retrying, "_wait", counted)
    return lambda: len(waits)


# --- a full disk -------------------------------------------------------------------------


@contextmanager
def small_disk(at: Path, size_mb: int) -> Iterator[Path]:
    """A disk of its own where this machine lets us have one, else a folder."""
    at.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(at)]
    is_mounted = subprocess.run(words, check=False, capture_output=True, timeout=WITHIN_S).returncode == 0
    try:
        yield at
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True, timeout=WITHIN_S)


@pytest.mark.system
def test_an_agent_takes_no_steps_while_its_disk_is_nearly_full(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        home = disk / "agent"
        free_mb = shutil.disk_usage(disk).free // 2**20
        with agent_process(coordinator, home, "--keep-free", str(free_mb + 2**20)):
            step = coordinator.offer(a_step("true"))
            coordinator.wait_for(lambda: any(each.problem for each in coordinator.hellos))

            assert not step.reports
            assert "are to be kept free" in coordinator.hellos[-1].problem


@pytest.mark.system
def test_a_step_that_fills_the_disk_is_told_with_a_result(coordinator: Coordinator, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32) as disk:
        home = disk / "agent"
        fill = "head -c 64M /dev/zero > big || true; seq 1 200000; rm big"
        with agent_process(coordinator, home, "--keep-free", "1"):
            step = coordinator.offer(a_step(fill))

            report = coordinator.final_of(step)

            assert report.status in {"finished", "released"}
            again = coordinator.offer(a_step("echo here", id="s2"))
            assert coordinator.final_of(again).result == "passed"


def has_grown(step: StepSeen, since: int) -> bool:
    return len(step.console) > since


# --- clocks and processors ---------------------------------------------------------------


@pytest.mark.system
def test_a_clock_that_jumps_changes_nothing(coordinator: Coordinator, home: Path, tmp_path: Path) -> None:
    clock, gate = tmp_path / "clock", Gate(tmp_path / "open")
    clock.write_text("+0\n")
    env = {
        "LD_PRELOAD": str(CLOCK),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with agent_process(coordinator, home, env=env):
        step = coordinator.offer(a_step(gate.counting, timeout_s=600.0))
        coordinator.wait_for(lambda: "line 3\n" in step.console)
        for jump in ("+400d", "-400d"):
            clock.write_text(f"{jump}\n")
            seen = len(step.console)
            coordinator.wait_for(partial(has_grown, step, seen))
        gate.open()

        report = coordinator.final_of(step)

    assert report.result == "passed"
    assert report.duration_ms is not None
    assert 0 < report.duration_ms < 600_000


@pytest.mark.system
def test_an_agent_is_heard_of_while_its_steps_burn_every_processor(
    coordinator: Coordinator, home: Path, gate: Gate
) -> None:
    burners = 3 * (os.cpu_count() or 1)
    burn = f"for i in $(seq {burners}); do while [ ! -e {gate.path} ]; do :; done & done; echo begun; wait"
    coordinator.hold_s = 0.01
    with agent_process(coordinator, home):
        step = coordinator.offer(a_step(burn))
        coordinator.wait_for(lambda: "\nbegun\n" in step.console)
        heard = len(coordinator.heartbeats)
        coordinator.wait_for(lambda: len(coordinator.heartbeats) > heard + 3)
        gate.open()

        assert coordinator.final_of(step).result == "passed"


# --- a server that is only half there ----------------------------------------------------


def test_a_server_that_accepts_and_never_answers_is_given_up_and_tried_again(
    coordinator: Coordinator, home: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changes.agent.client.ANSWER_TIMEOUT_S", 0.2)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(gate.counting))
        coordinator.wait_for(lambda: "line 3\n" in step.console)
        with coordinator.silent():
            gate.open()
            coordinator.wait_for(lambda: coordinator.unanswered > 3)

        assert coordinator.final_of(step).result == "passed"
