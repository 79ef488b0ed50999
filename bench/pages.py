"""Every page of a system with 200 projects and 50,000 builds: the server's time for each, one client."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from sqlalchemy import select
from tests.browser import addresses

from bench import floor, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System
from bench.wire import Caller
from changes.base.db import Database
from changes.people import users
from changes.people.models import User
from changes.web.auth import COOKIE

PROJECTS, BUILDS = 200, 50_000
WARM_UP = 3
FILL = [sys.executable, "-m", "changes.app.cli", "demo", "--fill", "--more"]


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 5 if quick else 20
    with system.running() as up, floor.running(up) as bare:
        fill(up, BUILDS // 10 if quick else BUILDS)
        with Database(up.database.replace("postgresql://", "postgresql+psycopg://")).transaction() as session:
            paths = [path for path in addresses.addresses(session) if path not in addresses.ERRORS]
            somebody = session.execute(select(User.id).where(User.is_admin).limit(1)).scalar_one()
            secret = users.open_session(session, somebody)
        asking, asking_floor = Caller(up.port, cookie=f"{COOKIE}={secret}"), bare.caller()
        limit = median([elapsed_ms(asking_floor, "/builds") for _ in range(WARM_UP + rounds)])
        for path in paths:
            times = [elapsed_ms(asking, path) for _ in range(WARM_UP + rounds)][WARM_UP:]
            yield Figure(
                f"page {path}"[:38],
                median(times),
                "ms",
                count=rounds,
                p99=p99(times),
                limit=Limit("one plain query", limit),
                goal=Goal("at most", 100),
            )


def fill(up: System, builds: int) -> None:
    own = {"CHANGES_HOME": str(up.home), "PORT": str(up.port)}
    command = [*FILL, "--projects", str(PROJECTS), "--builds", str(builds)]
    subprocess.run(command, env={**os.environ, **own}, check=True, capture_output=True)


def elapsed_ms(asking: Caller, path: str) -> float:
    began = time.perf_counter()
    asking.get(path)
    return (time.perf_counter() - began) * 1000
