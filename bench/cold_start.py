"""`changes up` on a warm virtual environment until the first HTTP 200 of /healthz."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import floor, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import free_port, stop, temporary_folder, wait_until
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres

UP = [sys.executable, "-m", "changes.app.cli", "up"]
ANSWER_WITHIN_S = 60
GOAL = Goal("at most", 4, 3)


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 1 if quick else 2
    fresh, fresh_bare, known, known_bare = [], [], [], []
    for _ in range(rounds):
        with temporary_folder() as folder:
            fresh.append(up_s(folder / "home"))
            known.append(up_s(folder / "home"))
        with temporary_folder() as folder:
            fresh_bare.append(bare_s(folder / "home"))
            known_bare.append(bare_s(folder / "home"))
    yield figure("up -> 200, new home", fresh, fresh_bare)
    yield figure("up -> 200, known home", known, known_bare)


def figure(name: str, ours: list[float], bare: list[float]) -> Figure:
    limit = Limit("PostgreSQL + bare ASGI", median(bare))
    return Figure(name, median(ours), "s", count=len(ours), limit=limit, goal=GOAL)


def up_s(home: Path) -> float:
    began = time.perf_counter()
    with system.started(UP, home):
        return time.perf_counter() - began


def bare_s(home: Path) -> float:
    began = time.perf_counter()
    with postgres(home) as conninfo:
        port = free_port()
        process = floor.start(port, conninfo)
        try:
            wait_until(lambda: floor.answers(port), ANSWER_WITHIN_S)
            return time.perf_counter() - began
        finally:
            stop(process)


@contextmanager
def postgres(home: Path) -> Iterator[str]:
    """The embedded PostgreSQL alone, empty."""
    with Home(home) as made:
        server = Postgres(made)
        server.start()
        try:
            yield server.url.replace("postgresql+psycopg://", "postgresql://")
        finally:
            server.stop()
