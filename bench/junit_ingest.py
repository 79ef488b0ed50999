"""A JUnit report of 10,000 tests into rows, as the worker does it, and what its two halves cost alone.

Told twice: by the clock, and by the processor time of the worker and its database process together, which
others who use the machine at the same time do not change.
"""

import io
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import psutil
import psycopg
from lxml import etree
from sqlalchemy import text

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System
from changes.base import db, garbage
from changes.builds.models import JobStep
from changes.results import run_numbers, testruns
from changes.results.formats import junit

TESTS = 10_000
RUN_COLUMNS = "id, test_id, duration_ms, result, reruns"
RUN_TYPES = ["int8", "int4", "int4", "int2", "int2"]


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 3 if quick else 9
    # As the worker does at its start.
    garbage.leave_out_what_is_here()
    with system.running() as up:
        steps = finished_steps(up, 2 * rounds)
        database = db.Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
        with database.transaction() as session:
            backend = psutil.Process(session.execute(text("select pg_backend_pid()")).scalar_one())
        bare = BareStore(up.database)
        new, known, parsed, copied = [], [], [], []
        for number in range(rounds):
            report = a_report(f"suite{number}")
            steps_of_both = steps[2 * number : 2 * number + 2]
            new.append(cost(lambda: ingest(database, steps_of_both[0], report), backend))  # noqa: B023 - used at once
            known.append(cost(lambda: ingest(database, steps_of_both[1], report), backend))  # noqa: B023
            parsed.append(cost(lambda: parse_only(report), backend))  # noqa: B023
            copied.append(cost(bare.copy, bare.backend))
        bare.close()
        database.close()
    yield from figures(new, known, parsed, copied)


def figures(new: list[Cost], known: list[Cost], parsed: list[Cost], copied: list[Cost]) -> Iterator[Figure]:
    count = len(new)
    halves = f"parse alone {rate(wall(parsed)):,.0f}, COPY alone {rate(wall(copied)):,.0f}"
    in_series = Limit("lxml, then COPY", rate(wall(parsed) + wall(copied)))
    goal = Goal("at least", 40_000, 60_000)
    yield Figure(
        "JUnit -> rows, known tests",
        rate(wall(known)),
        "tests/s",
        count=count,
        limit=in_series,
        goal=goal,
        remark=halves,
    )
    yield Figure("JUnit -> rows, new tests", rate(wall(new)), "tests/s", count=count, limit=in_series)
    by_cpu = Limit("lxml, then COPY", rate(cpu(parsed) + cpu(copied)))
    yield Figure(
        "JUnit -> rows, by processor time", rate(cpu(known)), "tests/s", count=count, limit=by_cpu, goal=goal
    )


def wall(costs: list[Cost]) -> float:
    return median([each.wall_s for each in costs])


def cpu(costs: list[Cost]) -> float:
    """The mean: the system tells it in hundredths of a second, which only a sum evens out."""
    return sum(each.cpu_s for each in costs) / len(costs)


def rate(seconds: float) -> float:
    return TESTS / seconds


def cost(act: Callable[[], object], backend: psutil.Process) -> Cost:
    began, cpu_began = time.perf_counter(), cpu_of(backend)
    act()
    return Cost(time.perf_counter() - began, cpu_of(backend) - cpu_began)


def cpu_of(backend: psutil.Process) -> float:
    theirs = backend.cpu_times()
    return time.process_time() + theirs.user + theirs.system


def ingest(database: db.Database, step_id: UUID, report: bytes) -> None:
    tests = junit.merge_duplicates(junit.parse(io.BytesIO(report)))
    with database.transaction() as session:
        testruns.store(session, session.get_one(JobStep, step_id), tests)


def finished_steps(up: System, count: int) -> list[UUID]:
    """Each report belongs to a step of its own, as in life."""
    project = projects.without_checkout(up, "tests")
    with agents.stand_in(up) as agent, psycopg.connect(up.database) as connection:
        asking = up.caller()
        for _ in range(count):
            asking.post("/api/0/builds/", project.build)
            agent.taken.get(timeout=20)
        return [row[0] for row in connection.execute("select id from job_step order by id").fetchall()]


def a_report(suite: str) -> bytes:
    """5 % fail with 2 KB of text, 3 % are skipped."""
    chance = random.Random(suite)  # noqa: S311 - numbers to store, guards nothing
    cases = [a_case(suite, number, chance) for number in range(TESTS)]
    return f'<testsuite name="{suite}">{"".join(cases)}</testsuite>'.encode()


def a_case(suite: str, number: int, chance: random.Random) -> str:
    kind = chance.random()
    inside = ""
    if kind < 0.05:
        trace = "\n".join(f"  File module.py, line {chance.randrange(999)}, in function" for _ in range(42))
        inside = f'<failure message="it broke">{trace}</failure>'
    elif kind < 0.08:
        inside = "<skipped/>"
    name = f'classname="{suite}.package.Class{number // 50}" name="test_number_{number}"'
    return f'<testcase {name} time="{chance.random():.3f}">{inside}</testcase>\n'


def parse_only(report: bytes) -> int:
    """What lxml itself takes, keeping nothing but the names."""
    found = []
    for _, element in etree.iterparse(io.BytesIO(report), tag="testcase"):
        found.append((element.get("classname"), element.get("name"), element.get("time"), len(element)))
        element.clear()
    return len(found)


class BareStore:
    """COPY into a table with the indexes of ours and nothing else around it."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo)
        self._connection.execute("create table bare_run (like test_run including all)")
        self._connection.commit()
        self.backend = psutil.Process(self._connection.info.backend_pid)
        self._next = run_numbers.batch(run_numbers.EPOCH, 0)

    def copy(self) -> None:
        copying = f"copy bare_run ({RUN_COLUMNS}) from stdin (format binary)".encode()
        with self._connection.cursor().copy(copying) as copy:
            copy.set_types(RUN_TYPES)
            for number in range(TESTS):
                copy.write_row((self._next + number, number, 1, 7, 0))
        self._next += run_numbers.RUNS_MAX
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()
