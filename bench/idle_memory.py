"""What everything but PostgreSQL keeps in memory while nothing happens: the sum of PSS."""

import time
from collections.abc import Iterator

import psutil

from bench import floor, system
from bench.figures import Figure, Goal, Limit
from bench.system import System

SETTLE_S = 60
SLOTS = 2
MB = 1024 * 1024


def measure(*, quick: bool) -> Iterator[Figure]:
    with system.running(slots=SLOTS) as up, floor.running(up) as bare, floor.agent(bare, SLOTS) as agent:
        time.sleep(5 if quick else SETTLE_S)
        ours = pss_mb(up)
        theirs = tree_pss_mb(psutil.Process(bare.process.pid)) + tree_pss_mb(psutil.Process(agent.pid))
        each = ", ".join(f"{name} {size:.0f}" for name, size in sorted(ours.items()))
        yield Figure(
            "idle memory without PostgreSQL",
            sum(ours.values()),
            "MB",
            limit=Limit("bare floor and its agent", theirs),
            goal=Goal("at most", 250, 150),
            remark=each,
        )
        yield Figure("idle memory of the agent", ours["agent"], "MB", goal=Goal("at most", 40))


def pss_mb(up: System) -> dict[str, float]:
    programs = up.programs()
    mine = programs.pop("supervisor")
    sizes = {name: tree_pss_mb(process) for name, process in programs.items() if name != "postgres"}
    return {"supervisor": own_pss_mb(mine), **sizes}


def tree_pss_mb(process: psutil.Process) -> float:
    return sum(own_pss_mb(each) for each in [process, *process.children(recursive=True)])


def own_pss_mb(process: psutil.Process) -> float:
    """Shared pages are counted by their share, so that the sum counts each page once."""
    pss_bytes: int = process.memory_full_info().pss
    return pss_bytes / MB
