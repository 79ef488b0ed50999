"""GET /api/0/builds/, 25 of some thousand builds, one client, and the questions it asks the database."""

import time
from collections.abc import Callable, Iterator

import psycopg

from bench import agents, floor, projects, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System

BUILDS = 5_000
WARM_UP = 30
# Copies of a real build: the same source and project, an id and a number of their own.
MULTIPLY = """
insert into build (id, number, project_id, collection_id, source_id, author_id, cause, priority, label,
                   target, message, tags, last_job_number, date_created, date_started, date_finished,
                   date_decided, date_modified, status, result)
select uuidv7(), 1000 + copy, project_id, collection_id, source_id, author_id, cause, priority,
       'Mend the frobnicator ' || copy, target, message, tags, 1, date_created, date_started, date_finished,
       date_decided, date_modified, status, result
from build, generate_series(1, %s) as copy where number = 1
"""
LOG_STATEMENTS = ("alter system set log_statement = 'all'", "alter system set log_line_prefix = '[%p] '")


def measure(*, quick: bool) -> Iterator[Figure]:
    rounds = 50 if quick else 400
    with system.running() as up, floor.running(up) as bare:
        fill(up)
        asking, asking_floor = up.caller(), bare.caller()
        ours, theirs = [], []
        for _ in range(WARM_UP + rounds):
            ours.append(elapsed_ms(lambda: asking.get("/api/0/builds/")))
            theirs.append(elapsed_ms(lambda: asking_floor.get("/builds")))
        count = queries_of(up, lambda: asking.get("/api/0/builds/"))
    yield Figure(
        "list of 25 builds",
        median(ours[WARM_UP:]),
        "ms",
        count=rounds,
        p99=p99(ours[WARM_UP:]),
        limit=Limit("one plain query", median(theirs[WARM_UP:])),
        goal=Goal("at most", 5),
        remark=f"{count} SQL queries",
    )


def fill(up: System) -> None:
    project = projects.without_checkout(up, "list")
    with agents.stand_in(up):
        projects.build_to_the_end(up, project)
    with psycopg.connect(up.database, autocommit=True) as connection:
        connection.execute(MULTIPLY, [BUILDS])
        connection.execute("analyze")


def elapsed_ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def queries_of(up: System, act: Callable[[], object]) -> int:
    """Counted by the database, in the connection that asked for builds."""
    with psycopg.connect(up.database, autocommit=True) as connection:
        for statement in LOG_STATEMENTS:
            connection.execute(statement.encode())
        connection.execute("select pg_reload_conf()")
    log = up.home / "logs" / "postgres.log"
    # A session takes the new setting over between two of its queries.
    act()
    time.sleep(0.2)
    begin = log.stat().st_size
    act()
    with log.open() as file:
        file.seek(begin)
        return count_queries(file.read().splitlines())


def count_queries(lines: list[str]) -> int:
    asking = next((line.split("]")[0] for line in lines if "SELECT build." in line), "nobody")
    mine = [line for line in lines if line.startswith(f"{asking}]")]
    return sum(": SELECT" in line or ": UPDATE" in line or ": INSERT" in line for line in mine)
