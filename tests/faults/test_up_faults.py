"""The whole system on one machine is stopped, killed or started twice in the middle of a build."""

import os
import signal
import socket
from collections.abc import Iterator
from itertools import count

import psutil
import pytest
from tests.faults.gates import Gate, assert_counted_without_holes, begun_step, plan, reasons
from tests.scenarios.running import eventually, processes_in
from tests.scenarios.upping import Up, an_up

pytestmark = pytest.mark.system
numbers = count(1)
ONE_OF_EACH = {"web": 1, "worker": 1, "agent": 1}


@pytest.fixture(scope="module")
def shared_up() -> Iterator[Up]:
    with an_up() as up:
        up.start_until_ready()
        yield up


@pytest.fixture
def up(shared_up: Up) -> Up:
    if not shared_up.is_running:
        shared_up.start_until_ready()
    return shared_up


def begun(up: Up, script: str) -> tuple[str, str]:
    slug = f"project-{next(numbers)}"
    up.project(slug, plan(script))
    api = up.api()
    build_id = api.build(slug)
    return build_id, begun_step(api, build_id)


def test_a_killed_database_comes_back_and_the_step_never_notices(up: Up, gate: Gate) -> None:
    build_id, step_id = begun(up, gate.counting)
    killed_pid = up.postmaster_pid()

    os.kill(killed_pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(killed_pid))
    eventually(lambda: up.api().answers)
    gate.open()

    build = up.api().finished(build_id)
    assert (build["result"]["id"], build["lostAttempts"]) == ("passed", [])
    assert_counted_without_holes(up.api().log(step_id))


def test_ctrl_c_ends_everything_and_the_next_start_goes_on_with_the_build(up: Up, gate: Gate) -> None:
    build_id, _ = begun(up, gate.waiting)

    exit_code = up.interrupt()

    assert exit_code == 0
    eventually(lambda: not processes_in(up.home))
    gate.open()
    build = up.start_until_ready().finished(build_id)
    assert build["result"]["id"] == "passed"
    assert reasons(build["lostAttempts"]) == ["agent_stopped"]


def test_after_a_killed_supervisor_the_next_start_leaves_no_second_copy_and_goes_on(
    up: Up, gate: Gate
) -> None:
    build_id, _ = begun(up, gate.waiting)

    up.kill()
    api = up.start_until_ready()

    assert "Ended what an earlier run left behind" in up.said
    assert up.running() == ONE_OF_EACH
    gate.open()
    build = api.finished(build_id)
    assert build["result"]["id"] == "passed"
    assert len(build["lostAttempts"]) == 1


def test_a_second_supervisor_of_a_home_is_refused_and_disturbs_nobody(up: Up) -> None:
    second = up.command("up")

    assert second.returncode == 1
    assert f"{up.home} is in use by another supervisor (process " in second.stderr
    assert up.running() == ONE_OF_EACH
    assert up.api().answers


def test_a_port_that_is_taken_is_said_before_anything_is_started() -> None:
    with an_up() as up, socket.create_server(("127.0.0.1", 0)) as listener:
        up.port = listener.getsockname()[1]

        refused = up.command("up")

        assert refused.returncode == 1
        assert f"Port {up.port} on 127.0.0.1 is taken by another program" in refused.stderr
        assert processes_in(up.home) == []
        assert not (up.home / "postgres").exists()
