"""POST of a build until an agent has its step, and until its command runs in a checkout."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import agents, floor, projects, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.floor_agent import check_out
from bench.projects import Project
from bench.system import System

WARM_UP = 15
TAKE_WITHIN_S = 20
PAUSE_S = 0.02


def measure(*, quick: bool) -> Iterator[Figure]:
    with system.running() as up, floor.running(up) as bare:
        at_floor = AtFloor(bare)
        yield claimed(up, at_floor, rounds=30 if quick else 150)
        yield running_command(up, at_floor, rounds=10 if quick else 40)


class AtFloor:
    """Somebody who asks the floor, and somebody who waits there."""

    def __init__(self, bare: floor.Floor) -> None:
        self._asking, self._taker = bare.caller(), floor.Taker(bare)

    def trigger_ms(self) -> float:
        fall_asleep(self._taker)
        asked_at = time.perf_counter()
        self._asking.post("/trigger")
        return 1000 * (self._taker.taken.get(timeout=TAKE_WITHIN_S) - asked_at)


def fall_asleep(waiting: agents.StandIn | floor.Taker) -> None:
    """Until its request is held, and everybody else is quiet too."""
    waiting.is_asking.wait(TAKE_WITHIN_S)
    time.sleep(PAUSE_S)


def claimed(up: System, at_floor: AtFloor, *, rounds: int) -> Figure:
    project = projects.without_checkout(up, "dispatch")
    ours, theirs = [], []
    with agents.stand_in(up) as agent:
        asking = up.caller()
        for _ in range(WARM_UP + rounds):
            fall_asleep(agent)
            asked_at = time.perf_counter()
            asking.post("/api/0/builds/", project.build)
            ours.append(1000 * (agent.taken.get(timeout=TAKE_WITHIN_S) - asked_at))
            theirs.append(at_floor.trigger_ms())
    ours, theirs = ours[WARM_UP:], theirs[WARM_UP:]
    return Figure(
        "POST build -> agent has the step",
        median(ours),
        "ms",
        count=rounds,
        p99=p99(ours),
        limit=Limit("bare floor", median(theirs)),
        goal=Goal("at most", 25, 10),
    )


def running_command(up: System, at_floor: AtFloor, *, rounds: int) -> Figure:
    """The command writes the time; server and agent share this machine's clock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stamp = folder / "stamp"
        project = projects.with_checkout(up, "checkout", folder / "repository", f"date +%s%N > {stamp}")
        ours, theirs = [], []
        with agents.real(up, 1):
            for number in range(WARM_UP + rounds):
                time.sleep(PAUSE_S)
                asked_at = time.time_ns()
                projects.build_to_the_end(up, project)
                ours.append((int(stamp.read_text()) - asked_at) / 1e6)
                into = folder / str(number)
                theirs.append(at_floor.trigger_ms() + bare_command_ms(folder, project, into))
    ours, theirs = ours[WARM_UP:], theirs[WARM_UP:]
    return Figure(
        "POST build -> command runs in checkout",
        median(ours),
        "ms",
        count=rounds,
        p99=p99(ours),
        limit=Limit("floor + read-tree + date", median(theirs)),
        goal=Goal("at most", 40),
    )


def bare_command_ms(folder: Path, project: Project, into: Path) -> float:
    stamp = folder / "bare"
    started_at = time.time_ns()
    check_out(folder / "repository", project.sha, into)
    subprocess.run(["/bin/bash", "-eu", "-c", f"date +%s%N > {stamp}"], check=True, cwd=into)
    return (int(stamp.read_text()) - started_at) / 1e6
