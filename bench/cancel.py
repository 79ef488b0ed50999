"""Cancelling a build until the process of its command is dead."""

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import agents, floor, projects, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System, wait_until
from bench.wire import Caller

DIE_WITHIN_S = 20
# The agent's first word about the step has been answered by then.
PAUSE_S = 0.1


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 5 if quick else 25
    ours, theirs = [], []
    with system.running() as up, floor.running(up) as bare, tempfile.TemporaryDirectory() as name:
        stamp = Path(name) / "pid"
        project = projects.without_checkout(up, "cancel", f"echo $$ > {stamp}; exec sleep 1000")
        with agents.real(up, 1):
            taker, asking = floor.Taker(bare), bare.caller()
            for _ in range(rounds + 1):
                ours.append(cancel_ms(up, project.build, stamp))
                theirs.append(bare_ms(asking, taker))
    yield Figure(
        "cancel -> process dead",
        median(ours[1:]),
        "ms",
        count=rounds,
        p99=p99(ours[1:]),
        limit=Limit("floor + kill", median(theirs[1:])),
        goal=Goal("at most", 50),
    )


def cancel_ms(up: System, build: dict[str, str], stamp: Path) -> float:
    stamp.unlink(missing_ok=True)
    caller = up.caller()
    asked = caller.post("/api/0/builds/", build)[0]
    wait_until(lambda: stamp.exists() and stamp.read_text().strip(), DIE_WITHIN_S)
    time.sleep(PAUSE_S)
    handle = os.pidfd_open(int(stamp.read_text()))
    began = time.perf_counter()
    caller.post(f"/api/0/builds/{asked['id']}/cancel/")
    elapsed = wait_for_death(handle, began)
    caller.close()
    return elapsed


def wait_for_death(handle: int, began: float) -> float:
    """The kernel says so: nobody has to look again and again."""
    dead, _, _ = select.select([handle], [], [], DIE_WITHIN_S)
    os.close(handle)
    if not dead:
        raise TimeoutError(f"the process lives after {DIE_WITHIN_S} s")
    return 1000 * (time.perf_counter() - began)


def bare_ms(asking: Caller, taker: floor.Taker) -> float:
    with subprocess.Popen(["sleep", "1000"]) as process:
        time.sleep(PAUSE_S)
        handle = os.pidfd_open(process.pid)
        began = time.perf_counter()
        asking.post("/trigger")
        taker.taken.get(timeout=DIE_WITHIN_S)
        process.send_signal(signal.SIGTERM)
        return wait_for_death(handle, began)
