"""Who is a process: by pid and start time, so that a reused pid is never taken for its former owner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = sys.platform == "linux"
POLL_S = 0.005


@dataclass(frozen=True)
class Identity:
    pid: int
    started: str


def never() -> bool:
    return False


def identify(pid: int) -> Identity | None:
    """The living process with this pid; a zombie counts as dead."""
    started = _start_in_proc(pid) if HAS_PROC else start_by_ps(pid)
    return Identity(pid, started) if started else None


def is_alive(identity: Identity) -> bool:
    return identify(identity.pid) == identity


def send(identity: Identity, signal_number: int) -> None:
    """Signal the process, unless it is gone or its pid belongs to another by now."""
    if is_alive(identity):
        try:
            os.kill(identity.pid, signal_number)
        except ProcessLookupError:
            return


def give_way(pid: int, by: int) -> None:
    """It, and whatever it starts, gets what others leave of the processors. Where a session has a
    share of its own (autogroup), the share gives way too. Nobody needs it: what fails is left as it is.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, by)
    if HAS_PROC:
        with suppress(OSError):
            (PROC / str(pid) / "autogroup").write_text(str(by))


def kill_group(leader_pid: int) -> None:
    """Kill what is left of the group of a leader that we started in a session of its own."""
    try:
        os.killpg(leader_pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of zombies.
        return


def wait_until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def wait_until_gone(identity: Identity, within_s: float) -> bool:
    return wait_until(lambda: not is_alive(identity), within_s)


def running_in(folder: Path, program: str) -> list[Identity]:
    """The processes of this program whose working folder is this one."""
    pids = _all_in_proc(folder, program) if HAS_PROC else all_by_lsof(folder, program)
    return [found for pid in pids if (found := identify(pid)) is not None]


def is_running_in(pid: int, folder: Path, program: str) -> bool:
    if HAS_PROC:
        return _is_in_proc(pid, folder, program)
    return pid in all_by_lsof(folder, program)


def _start_in_proc(pid: int) -> str | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name in brackets may hold anything, brackets and spaces too.
    state, *fields = stat[stat.rindex(")") + 2 :].split()
    threads, ticks_since_boot = int(fields[16]), fields[18]
    # The first thread of a server that ends may be a zombie while others still let go of files.
    is_dead = state in "ZX" and threads <= 1
    return None if is_dead else f"{_boot_id()}:{ticks_since_boot}"


@cache
def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_by_ps(pid: int) -> str | None:
    """The same for systems without /proc."""
    answer = _output_of(["ps", "-o", "stat=,lstart=", "-p", str(pid)])
    state, _, started = answer.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _all_in_proc(folder: Path, program: str) -> list[int]:
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if _is_in_proc(pid, folder, program)]


def _is_in_proc(pid: int, folder: Path, program: str) -> bool:
    entry = PROC / str(pid)
    try:
        executable = (entry / "exe").readlink().name.removesuffix(" (deleted)")
        return executable == program and (entry / "cwd").samefile(folder)
    except OSError:
        return False


def all_by_lsof(folder: Path, program: str) -> list[int]:
    """The same for systems without /proc."""
    lines = _output_of(["lsof", "-w", "-a", "-c", program, "-d", "cwd", "-F", "pn"]).splitlines()
    return list(_pids_in(lines, os.path.realpath(folder)))


def _pids_in(lines: Iterable[str], folder: str) -> Iterable[int]:
    pid = 0
    for line in lines:
        if line.startswith("p"):
            pid = int(line[1:])
        elif line == f"n{folder}":
            yield pid


def _output_of(argv: list[str]) -> str:
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env).stdout
