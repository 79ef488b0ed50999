"""A JUnit report of 10,000 tests into rows, as the worker does it, and what its two halves cost alone.

From the stored file to the commit: what `collect.collect_step` does of reading and of storing; ending the
step around it is in `settle.py`. Told twice: by the clock, and by the processor time of the worker and its
database process together, which others who use the machine at the same time do not change.
"""

import io
import random
import threading
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
from changes.base import db, garbage, process, storage
from changes.base.settings import Settings
from changes.builds.models import JobStep
from changes.results import reading, run_numbers, testruns
from changes.results.models import Artifact
from changes.results.remembered_tests import remembered

TESTS = 10_000
RUN_COLUMNS = "id, test_id, duration_ms, result, reruns"
RUN_TYPES = ["int8", "int4", "int4", "int2", "int2"]


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Costs:
    """`known` are names that this process has met before, `cold` those that only the database knows."""

    new: list[Cost]
    known: list[Cost]
    cold: list[Cost]
    parsed: list[Cost]
    copied: list[Cost]
    in_turn_s: list[float]
    side_by_side_s: list[float]


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 3 if quick else 9
    # As the worker does at its start.
    garbage.leave_out_what_is_here()
    with system.running() as up:
        process.settings.set(Settings(home=up.home))
        storage.storage.set(storage.Storage((up.home / "blobs-of-bench").as_uri()))
        steps = iter(finished_steps(up, 7 * rounds))
        database = db.Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=2)
        costs = Costs([], [], [], [], [], [], [])
        bare = BareStore(up.database)
        for number in range(rounds):
            measure_report(database, steps, f"suite{number}", costs, bare)
        for _ in range(rounds):
            measure_two(database, steps, costs)
        bare.close()
        database.close()
    yield from figures(costs)


def measure_report(
    database: db.Database, steps: Iterator[UUID], suite: str, costs: Costs, bare: "BareStore"
) -> None:
    report = a_report(suite)
    new, known, cold = (next(steps) for _ in range(3))
    files = {step_id: leave_behind(step_id, report) for step_id in (new, known, cold)}
    with database.transaction() as session:
        backend = psutil.Process(session.execute(text("select pg_backend_pid()")).scalar_one())
        project_id = session.get_one(JobStep, new).project_id
    costs.new.append(cost(lambda: ingest(database, files[new]), backend))
    costs.known.append(cost(lambda: ingest(database, files[known]), backend))
    remembered.forget(project_id)
    costs.cold.append(cost(lambda: ingest(database, files[cold]), backend))
    costs.parsed.append(cost(lambda: parse_only(report), backend))
    costs.copied.append(cost(bare.copy, bare.backend))


def measure_two(database: db.Database, steps: Iterator[UUID], costs: Costs) -> None:
    """Two known reports one after the other, and by two threads as the worker has them."""
    reports = [a_report(f"suite{number}") for number in range(2)] * 2
    files = [leave_behind(next(steps), report) for report in reports]
    began = time.perf_counter()
    for file in files[:2]:
        ingest(database, file)
    costs.in_turn_s.append(time.perf_counter() - began)
    both = [threading.Thread(target=ingest, args=(database, file)) for file in files[2:]]
    began = time.perf_counter()
    for each in both:
        each.start()
    for each in both:
        each.join()
    costs.side_by_side_s.append(time.perf_counter() - began)


def figures(costs: Costs) -> Iterator[Figure]:
    count = len(costs.known)
    parsed, copied = costs.parsed, costs.copied
    halves = f"parse alone {rate(wall(parsed)):,.0f}, COPY alone {rate(wall(copied)):,.0f}"
    in_series = Limit("lxml, then COPY", rate(wall(parsed) + wall(copied)))
    goal = Goal("at least", 40_000, 60_000)
    yield Figure(
        "JUnit -> rows, known tests",
        rate(wall(costs.known)),
        "tests/s",
        count=count,
        limit=in_series,
        goal=goal,
        remark=halves,
    )
    cold, new = rate(wall(costs.cold)), rate(wall(costs.new))
    yield Figure("JUnit -> rows, first of a worker", cold, "tests/s", count=count, limit=in_series, goal=goal)
    yield Figure("JUnit -> rows, new tests", new, "tests/s", count=count, limit=in_series)
    by_cpu = Limit("lxml, then COPY", rate(cpu(parsed) + cpu(copied)))
    yield Figure(
        "JUnit -> rows, by processor time",
        rate(cpu(costs.known)),
        "tests/s",
        count=count,
        limit=by_cpu,
        goal=goal,
    )
    yield Figure(
        "two reports side by side",
        2 * rate(median(costs.side_by_side_s)),
        "tests/s",
        count=count,
        limit=Limit("one after the other", 2 * rate(median(costs.in_turn_s))),
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


def leave_behind(step_id: UUID, report: bytes) -> Artifact:
    """As the agent hands it in."""
    key = f"artifacts/{step_id.hex}/junit.xml"
    storage.storage.get().put(key, report)
    return Artifact(step_id=step_id, name="junit.xml", key=key, size_bytes=len(report), sha256="")


def ingest(database: db.Database, file: Artifact) -> None:
    found = reading.read([file], file.step_id, {})
    with database.transaction() as session:
        testruns.store(session, session.get_one(JobStep, file.step_id), found.tests)


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
