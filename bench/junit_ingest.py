"""A JUnit report of 10,000 tests into rows, as the worker does it, and what its two halves cost alone."""

import io
import random
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System
from changes.base import db, ids
from changes.builds.models import JobStep
from changes.results import testruns
from changes.results.formats import junit

TESTS = 10_000
RUN_COLUMNS = "id, test_id, duration_ms, result, reruns"
RUN_TYPES = ["int8", "int4", "int4", "int2", "int2"]


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 3 if quick else 7
    with system.running() as up:
        steps = finished_steps(up, 2 * rounds + 1)
        database = db.Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
        bare = BareStore(up.database, steps[-1])
        new, known, parsed, copied = [], [], [], []
        for number in range(rounds):
            report = a_report(f"suite{number}")
            new.append(seconds(lambda: ingest(database, steps[2 * number], report)))  # noqa: B023 - used at once
            known.append(seconds(lambda: ingest(database, steps[2 * number + 1], report)))  # noqa: B023
            parsed.append(seconds(lambda: parse_only(report)))  # noqa: B023
            copied.append(seconds(bare.copy))
        bare.close()
        database.close()
    in_series = Limit("iterparse, then COPY", TESTS / (median(parsed) + median(copied)))
    halves = f"parse alone {TESTS / median(parsed):,.0f}, COPY alone {TESTS / median(copied):,.0f}"
    yield Figure(
        "JUnit -> rows, known tests",
        TESTS / median(known),
        "tests/s",
        count=rounds,
        limit=in_series,
        goal=Goal("at least", 40_000, 60_000),
        remark=halves,
    )
    yield Figure("JUnit -> rows, new tests", TESTS / median(new), "tests/s", count=rounds, limit=in_series)


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


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
    """The standard library's parser, which keeps nothing but the names."""
    found = []
    for _, element in ET.iterparse(io.BytesIO(report)):  # noqa: S314 - made above
        if element.tag == "testcase":
            found.append((element.get("classname"), element.get("name"), element.get("time"), len(element)))
            element.clear()
    return len(found)


class BareStore:
    """COPY into a table with the indexes of ours and nothing else around it."""

    def __init__(self, conninfo: str, step_id: UUID) -> None:
        self._connection = psycopg.connect(conninfo)
        self._connection.execute("create table bare_run (like test_run including all)")
        self._connection.commit()
        self._step_id = step_id
        self._test_ids = [ids.new() for _ in range(TESTS)]

    def copy(self) -> None:
        copying = f"copy bare_run ({RUN_COLUMNS}) from stdin (format binary)".encode()
        with self._connection.cursor().copy(copying) as copy:
            copy.set_types(RUN_TYPES)
            for test_id in self._test_ids:
                copy.write_row((ids.new(), test_id, self._step_id, self._step_id, 1, 7, 0))
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()
