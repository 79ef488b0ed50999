"""What people ask about tests, at a million runs and at a hundred million: does it stay as quick?

Told twice: of the questions to the database alone, and of the whole page as the web server answers it.

Not among those that run without a name: it takes a quarter of an hour and 13 GB in the temporary folder.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session

from bench import many_runs, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System
from bench.wire import Caller
from changes.base import clock, garbage
from changes.base.db import Database
from changes.base.paging import Page
from changes.builds.models import Build
from changes.people import users
from changes.projects.models import Project
from changes.results import flaky_days, packing, partitions, suite, testruns, tests_of_project
from changes.results.models import Test, TestBatch
from changes.web.auth import COOKIE
from changes.web.pages.project_tests import LISTED, LISTS

FEW, MANY = 1_000_000, 100_000_000
FEW_QUICK, MANY_QUICK = 100_000, 400_000
BYTES_OF_MANY, KB = 14 * 2**30, 1024
HISTORY_SHOWN, PAGE_SIZE = 50, 25
WARM_UP = 3
NICENESS = 10


@dataclass(frozen=True)
class Asked:
    """Somebody else's test, build and project each time, so that not all of it is at hand."""

    test_id: int
    build_id: UUID
    project_id: UUID


@dataclass(frozen=True)
class Measured:
    times_ms: dict[str, list[float]]
    # As its indexes grew, and after the task that writes them anew where they are loose.
    bytes_per_run: float
    packed_bytes_per_run: float
    past_bytes_per_run: float
    drop_s: float


def history_of_test(session: Session, asked: Asked) -> None:
    suite.past_runs(session, asked.test_id, limit=HISTORY_SHOWN)


def tests_of_build(session: Session, asked: Asked) -> None:
    suite.runs(session, asked.build_id, Page(1, PAGE_SIZE), suite.SuiteAsked())
    testruns.counts_of_build(session, asked.build_id)


def dashboard(session: Session, asked: Asked) -> None:
    today = clock.now().astimezone(UTC).date()
    tests_of_project.trend(session, asked.project_id, until=today)
    lists = tests_of_project.firsts(session, asked.project_id, LISTS, each=LISTED)
    tests_of_project.newest_failures(session, lists["failing"])


def flaky_list(session: Session, asked: Asked) -> None:
    yesterday = clock.now().astimezone(UTC).date() - timedelta(days=1)
    flaky_days.chart(session, asked.project_id, yesterday)
    flaky_days.tests_of_day(session, asked.project_id, yesterday)


QUESTIONS: dict[str, Callable[[Session, Asked], None]] = {
    "history of a test": history_of_test,
    "tests of a build": tests_of_build,
    "tests of a project": dashboard,
    "flaky tests": flaky_list,
}


def slug_of(session: Session, project_id: UUID) -> str:
    return session.get_one(Project, project_id).slug


def page_of_test(session: Session, asked: Asked) -> str:
    test = session.get_one(Test, asked.test_id)
    return f"/projects/{slug_of(session, test.project_id)}/tests/{test.name_sha}/"


def page_of_build(session: Session, asked: Asked) -> str:
    build = session.get_one(Build, asked.build_id)
    return f"/projects/{slug_of(session, build.project_id)}/builds/{build.number}/tests/"


PAGES: dict[str, Callable[[Session, Asked], str]] = {
    "page of a test": page_of_test,
    "page of a build's tests": page_of_build,
    "page of a project's tests": lambda session, asked: (
        f"/projects/{slug_of(session, asked.project_id)}/tests/"
    ),
    "page of flaky tests": lambda session, asked: f"/projects/{slug_of(session, asked.project_id)}/flaky/",
}


def measure(*, quick: bool) -> Iterator[Figure]:
    few, many = (FEW_QUICK, MANY_QUICK) if quick else (FEW, MANY)
    if not quick and shutil.disk_usage(tempfile.gettempdir()).free < BYTES_OF_MANY:
        raise RuntimeError(
            f"{tempfile.gettempdir()} has not the {BYTES_OF_MANY / 2**30:.0f} GB that this needs"
        )
    os.nice(NICENESS)
    # As the web server does at its start.
    garbage.leave_out_what_is_here()
    before, after = measure_at(few, rounds=20), measure_at(many, rounds=10 if quick else 60)
    for name, times in after.times_ms.items():
        yield Figure(
            f"{name}, {many / 1e6:g} M runs, p95",
            p95(times),
            "ms",
            count=len(times),
            limit=Limit(f"at {few / 1e6:g} M", p95(before.times_ms[name])),
            goal=Goal("at most", 150),
            remark=f"p50 {median(times):.3g}, was {median(before.times_ms[name]):.3g}",
        )
    goal = Goal("at most", 110)
    yield Figure("a test run with its indexes, month that grows", after.bytes_per_run, "bytes", goal=goal)
    yield Figure("the same, packed", after.packed_bytes_per_run, "bytes", goal=goal)
    yield Figure(
        "a test run with its indexes, month that is over", after.past_bytes_per_run, "bytes", goal=goal
    )
    yield Figure("a month is dropped", after.drop_s, "s", goal=Goal("at most", 1))


def measure_at(runs: int, *, rounds: int) -> Measured:
    with system.running() as up:
        began = time.monotonic()
        many_runs.fill(up, runs)
        print(f"{runs:,} runs made in {time.monotonic() - began:.0f} s", flush=True)
        times = ask_all(up.database, rounds) | open_all(up, rounds)
        this_month = partitions.month_of(clock.now())
        grown = bytes_per_run(up, this_month)
        pack(up.database)
        packed, past = (bytes_per_run(up, each) for each in (this_month, partitions.earlier(this_month)))
        return Measured(times, grown, packed, past, drop_oldest_month(up))


def pack(url: str) -> None:
    database = Database(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
    packing.pack(database)
    database.close()


def ask_all(url: str, rounds: int) -> dict[str, list[float]]:
    database = Database(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
    with database.transaction() as session:
        times = {name: ask(session, act, rounds) for name, act in QUESTIONS.items()}
    database.close()
    return times


def open_all(up: System, rounds: int) -> dict[str, list[float]]:
    """By somebody who is signed in, with a connection that is kept."""
    database = Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
    with database.transaction() as session:
        somebody = users.create(session, "reader@scale.example")
        secret = users.open_session(session, somebody.id)
    reader = Caller(up.port, cookie=f"{COOKIE}={secret}")
    with database.transaction() as session:
        times = {name: open_pages(session, reader, path_of, rounds) for name, path_of in PAGES.items()}
    reader.close()
    database.close()
    return times


def open_pages(
    session: Session, reader: Caller, path_of: Callable[[Session, Asked], str], rounds: int
) -> list[float]:
    chance = random.Random(2 * rounds)  # noqa: S311 - which ones to look at, guards nothing
    everything = somebody(session)
    paths = [path_of(session, everything(chance)) for _ in range(WARM_UP + rounds)]
    times = []
    for path in paths:
        began = time.perf_counter()
        reader.get(path)
        times.append((time.perf_counter() - began) * 1000)
    return times[WARM_UP:]


def ask(session: Session, act: Callable[[Session, Asked], None], rounds: int) -> list[float]:
    chance = random.Random(rounds)  # noqa: S311 - which ones to look at, guards nothing
    everything = somebody(session)
    times = []
    for _ in range(WARM_UP + rounds):
        asked = everything(chance)
        session.expunge_all()
        began = time.perf_counter()
        act(session, asked)
        times.append((time.perf_counter() - began) * 1000)
    return times[WARM_UP:]


def somebody(session: Session) -> Callable[[random.Random], Asked]:
    projects = session.execute(select(Project.id).where(Project.slug.startswith("scale"))).scalars().all()
    newest = select(TestBatch.build_id).order_by(TestBatch.id.desc()).limit(1000)
    builds = session.execute(newest).scalars().all()
    tests = session.execute(select(Test.id).where(Test.project_id.in_(projects))).scalars().all()
    return lambda chance: Asked(chance.choice(tests), chance.choice(builds), chance.choice(projects))


def p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def bytes_per_run(up: System, month: datetime) -> float:
    """Indexes of the newest month grew with each report; those of months that are over are denser."""
    name = partitions.name_of("test_run", month)
    found = "select pg_total_relation_size(%(name)s::regclass)::float8 / (select count(*) from {})"
    table = f"{partitions.SCHEMA}.{name}"
    return float(one(up, found.format(table), {"name": table}))


def drop_oldest_month(up: System) -> float:
    table = one(
        up, "select min(relname) from pg_class where relkind = 'r' and relname like 'test_run_2%%'", {}
    )
    with psycopg.connect(up.database) as connection:
        began = time.perf_counter()
        connection.execute(f"alter table test_run detach partition {partitions.SCHEMA}.{table}")
        connection.execute(f"drop table {partitions.SCHEMA}.{table}")
        connection.commit()
        return time.perf_counter() - began


def one(up: System, query: str, values: dict[str, Any]) -> Any:
    with psycopg.connect(up.database) as connection:
        row = connection.execute(query, values).fetchone()
    return row[0] if row else None
