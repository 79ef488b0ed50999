import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from changes.app.embedded import processes

pytestmark = pytest.mark.system


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_pid_and_start() -> None:
    assert processes.identify(os.getpid()) == processes.identify(os.getpid())


def test_nobody_has_a_pid_that_ended(sleeper: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(sleeper.pid)
    assert identity is not None

    sleeper.kill()
    sleeper.wait()

    assert not processes.is_alive(identity)


def test_a_zombie_counts_as_dead(sleeper: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(sleeper.pid)
    assert identity is not None

    sleeper.kill()

    assert processes.wait_until_gone(identity, 60)


def test_a_reused_pid_is_never_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(sleeper.pid)
    assert identity is not None
    former_owner = replace(identity, started="long ago")

    processes.send(former_owner, signal.SIGKILL)

    assert processes.is_alive(identity)


def test_processes_are_found_by_program_and_working_folder(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert processes.wait_until(lambda: bool(processes.running_in(tmp_path, "sleep")), 60)

    assert [found.pid for found in processes.running_in(tmp_path, "sleep")] == [sleeper.pid]
    assert processes.running_in(tmp_path, "postgres") == []
    assert processes.running_in(tmp_path.parent, "sleep") == []


def test_without_proc_the_start_comes_from_ps(sleeper: subprocess.Popen[bytes]) -> None:
    started = processes.start_by_ps(sleeper.pid)

    assert started
    assert started == processes.start_by_ps(sleeper.pid)


def test_without_proc_a_missing_process_has_no_start(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()

    assert processes.start_by_ps(sleeper.pid) is None


def test_without_proc_working_folders_come_from_lsof() -> None:
    lines = ["p12", "fcwd", "n/data", "p13", "fcwd", "n/data/base", "p14", "fcwd", "n/data"]

    assert list(processes._pids_in(lines, "/data")) == [12, 14]


def test_killing_a_group_takes_the_children_of_the_leader() -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '60']); print(flush=True); input()"
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout is not None
    leader.stdout.readline()

    processes.kill_group(leader.pid)

    # The end of its output says that nobody holds it open any more.
    assert leader.communicate(timeout=60)[0] == b""
