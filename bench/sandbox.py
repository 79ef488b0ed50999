"""What a sandbox costs a step: from the first command's start to its end, against a bare bash."""

import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.figures import Figure, Goal, Limit, median, p99
from changes.agent import commands
from changes.agent.commands import Place
from changes.agent.logs import Console
from changes.agent.masking import Masker
from changes.agent.processes import adopt_orphans, reap_orphans
from changes.agent.sandboxes import housing
from changes.agent.sandboxes.choice import BUBBLEWRAP, PROCESS, Choice
from changes.agent.sandboxes.housing import Housing
from changes.agent.sandboxes.role import Ground
from changes.agent.spool import Spool
from changes.agent.stopping import StopOrder
from changes.protocol import CommandOffer, Limits, StepOffer

MS = 1000
BLOCK_BYTES = 2**20
SECRETS = ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct horse battery staple", "postgres://u:pw@db/x")


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 10 if quick else 100
    with ExitStack() as stack:
        thread = stack.enter_context(as_in_an_agent())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        home = folder / "agent"
        home.mkdir()
        here = housing.look(home)
        stack.callback(here.trees.leave)
        took: dict[str, list[float]] = {"bare": [], PROCESS: [], BUBBLEWRAP: []}
        # One of each in turn, so that whatever else the machine does falls on all alike.
        for number in range(rounds):
            took["bare"].append(thread.submit(bare_ms).result())
            for kind in (PROCESS, BUBBLEWRAP):
                if kind in here.kinds:
                    took[kind].append(thread.submit(step_ms, here, kind, f"{kind}-{number}").result())
    bare = median(took["bare"])
    for kind in (PROCESS, BUBBLEWRAP):
        if took[kind]:
            over = [each - bare for each in took[kind]]
            goal = Goal("at most", 15) if kind == BUBBLEWRAP else None
            what = Limit("bare bash takes", bare)
            yield Figure(f"sandbox {kind}, on top of bash", median(over), "ms", rounds, p99(over), what, goal)
    yield masking(quick=quick)


@contextmanager
def as_in_an_agent() -> Iterator[ThreadPoolExecutor]:
    """Whoever is left of a step hangs on the main thread, which starts nothing itself."""
    adopt_orphans()
    before = signal.signal(signal.SIGCHLD, lambda *_: reap_orphans())
    try:
        with ThreadPoolExecutor(1) as thread:
            yield thread
    finally:
        signal.signal(signal.SIGCHLD, before)


def bare_ms() -> float:
    began = time.perf_counter()
    subprocess.run(["/bin/bash", "-eu", "-c", "true"], check=True)
    return (time.perf_counter() - began) * MS


def step_ms(here: Housing, kind: str, name: str) -> float:
    command = CommandOffer(id="c1", name="true", script="true")
    spool = Spool(here.home)
    folder = spool.open(
        StepOffer(id=name, name="bench", project="bench", build="1", checkout=None, commands=[])
    )
    (folder.path / "streams").mkdir()
    console = Console(folder.console, lambda _size: None)
    here.account.own(console.pipe)
    began = time.perf_counter()
    group = here.group_for(name, kind, Limits(pids=1000))
    ground = Ground(folder, "bench", here.account, console.pipe, group, hidden=here.hidden)
    sandbox = here.sandbox(Choice(kind), ground)
    place = Place(
        folder, folder.work, {}, "bench", sandbox, here.account, console.pipe, lambda: console.pipe, group
    )
    outcome = commands.run_command(command, place, StopOrder(), None)
    sandbox.end(is_alone=False)
    elapsed_ms = (time.perf_counter() - began) * MS
    console.close()
    if not outcome.is_success:
        raise RuntimeError(f"The command in {kind} ended with {outcome}")
    spool.drop(folder)
    return elapsed_ms


def masking(*, quick: bool) -> Figure:
    block = (b"2026-01-01 12:00:01 INFO module_12.test_77 passed in 0.123 s\n" * BLOCK_BYTES)[:BLOCK_BYTES]
    rates = []
    for _ in range(3 if quick else 20):
        masker = Masker(SECRETS)
        began = time.perf_counter()
        for _ in range(10):
            masker.mask(block)
        rates.append(10 * len(block) / 1e6 / (time.perf_counter() - began))
    name = f"log searched for {len(SECRETS)} secrets"
    return Figure(name, statistics.median(rates), "MB/s", len(rates), goal=Goal("at least", 100))
