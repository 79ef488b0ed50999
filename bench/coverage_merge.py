"""Coverage of 20,000 files out of 50 shards: each shard into its rows, then all of them put together.

Told by the clock, and by the processor time of us and our database process together, which others who use the
machine at the same time do not change. The limit is COPY of the very same rows into a bare table.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import psutil
import psycopg
from sqlalchemy import select, text

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System
from changes.base import clock, db, ids
from changes.builds.models import Job, JobStep
from changes.results.coverage import merging, packing, store
from changes.results.coverage.models import BuildCoverage
from changes.results.formats.line_marks import Marks

FILES, SHARDS = 20_000, 50
QUICK_FILES, QUICK_SHARDS = 2_000, 5
ROUNDS = 3
# Most shards import a file without running much of it; about one in ten runs it in earnest.
RUN_BY = 0.1
COPIED = ("job_id", "phase_id", "project_id", "label", "timeout_s", "data")
ROWS = f"copy step_coverage_pack ({packing.COLUMNS}) to stdout (format binary)"
BARE = f"copy bare_pack ({packing.COLUMNS}) from stdin (format binary)"


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float


def measure(*, quick: bool) -> Iterator[Figure]:
    files, shards = (QUICK_FILES, QUICK_SHARDS) if quick else (FILES, SHARDS)
    with system.running() as up:
        database = db.Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=1)
        with database.transaction() as session:
            backend = psutil.Process(session.execute(text("select pg_backend_pid()")).scalar_one())
        steps = finished_steps(up, database, shards)
        stored = [store_shard(database, step, files, backend) for step in steps]
        with psycopg.connect(up.database, autocommit=True) as connection:
            connection.execute("vacuum analyze step_coverage_pack")
        merged = [merge(database, steps[0], backend) for _ in range(ROUNDS)]
        database.close()
        copied, size = copy_bare(up.database)
    megabytes = f"{size / 1e6:,.0f} MB"
    yield from figures(f"{files:,} files x {shards}", megabytes, [stored, merged, copied])


def figures(what: str, size: str, costs: list[list[Cost]]) -> Iterator[Figure]:
    stored, merged, copied = costs
    yield Figure(
        f"coverage of {what} merged",
        wall(merged),
        "s",
        count=len(merged),
        limit=Limit(f"COPY of these {size}", wall(copied)),
        goal=Goal("at most", 10, 2),
    )
    yield Figure(
        "coverage merged, by processor time",
        cpu(merged),
        "s",
        count=len(merged),
        limit=Limit("COPY", cpu(copied)),
    )
    yield Figure(
        "coverage of all shards stored, by processor time",
        sum(each.cpu_s for each in stored),
        "s",
        count=len(stored),
        limit=Limit("COPY", cpu(copied)),
    )


def wall(costs: list[Cost]) -> float:
    return median([each.wall_s for each in costs])


def cpu(costs: list[Cost]) -> float:
    """The mean: the system tells it in hundredths of a second, which only a sum evens out."""
    return sum(each.cpu_s for each in costs) / len(costs)


def cost(act: Callable[[], object], backend: psutil.Process) -> Cost:
    began, cpu_began = time.perf_counter(), cpu_of(backend)
    act()
    return Cost(time.perf_counter() - began, cpu_of(backend) - cpu_began)


def cpu_of(backend: psutil.Process) -> float:
    theirs = backend.cpu_times()
    return time.process_time() + theirs.user + theirs.system


def finished_steps(up: System, database: db.Database, count: int) -> list[UUID]:
    """One that an agent was given, and copies of it in its job, as a plan of many shards has them."""
    project = projects.without_checkout(up, "covered")
    with agents.stand_in(up) as agent:
        up.caller().post("/api/0/builds/", project.build)
        agent.taken.get(timeout=20)
    with database.transaction() as session:
        first = session.execute(select(JobStep)).scalars().one()
        build_id = session.get_one(Job, first.job_id).build_id
        same = {name: getattr(first, name) for name in COPIED}
        copies = [JobStep(id=ids.new(), **same) for _ in range(count - 1)]
        session.add_all(copies)
        session.add(nothing_yet(build_id, first.project_id))
        session.flush()
        return [first.id, *(each.id for each in copies)]


def nothing_yet(build_id: UUID, project_id: UUID) -> BuildCoverage:
    return BuildCoverage(
        build_id=build_id,
        project_id=project_id,
        date_merged=clock.now(),
        is_of_commit=True,
        report_count=0,
        file_count=0,
        lines_covered=0,
        lines_uncovered=0,
    )


def store_shard(database: db.Database, step_id: UUID, files: int, backend: psutil.Process) -> Cost:
    covered = a_shard(str(step_id), files)

    def act() -> None:
        with database.transaction() as session:
            store.store(session, session.get_one(JobStep, step_id), covered, [])

    return cost(act, backend)


def a_shard(name: str, files: int) -> dict[str, Marks]:
    """Which lines of a file could run is the same in all shards, which of them ran is not."""
    lines, ran = random.Random(1), random.Random(name)  # noqa: S311 - numbers to store, guards nothing
    covered = {}
    for number in range(files):
        width = lines.randint(20, 580)
        executable = lines.getrandbits(width) | 1 << (width - 1)
        is_run = ran.random() < RUN_BY
        bits = executable & ran.getrandbits(width) & ran.getrandbits(width) if is_run else 0
        path = f"libs/lib{number // 400}/src/package{number // 20}/module{number}.py"
        covered[path] = Marks(executable, bits, 0)
    return covered


def merge(database: db.Database, step_id: UUID, backend: psutil.Process) -> Cost:
    with database.transaction() as session:
        build_id = session.get_one(Job, session.get_one(JobStep, step_id).job_id).build_id

    def act() -> None:
        with database.transaction() as session:
            merging.merge(session, build_id)

    return cost(act, backend)


def copy_bare(conninfo: str) -> tuple[list[Cost], int]:
    with psycopg.connect(conninfo) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        with connection.cursor().copy(ROWS) as reading:
            pieces = [bytes(piece) for piece in reading]

        def act() -> None:
            with connection.cursor().copy(BARE) as copy:
                for piece in pieces:
                    copy.write(piece)
            connection.commit()

        costs = []
        for _ in range(ROUNDS):
            connection.execute("drop table if exists bare_pack")
            connection.execute("create table bare_pack (like step_coverage_pack including all)")
            connection.commit()
            costs.append(cost(act, backend))
        return costs, sum(len(piece) for piece in pieces)
