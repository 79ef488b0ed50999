"""Test runs by the million, made inside the database: builds by copying a real one, runs month by month.

A system of a month has 50 builds of each of ten projects, one of two years has thousands; each build runs
the same 2,000 tests, of which one in twenty is flaky and one in a hundred fails with half a kilobyte of text.
"""

from datetime import datetime, timedelta

import psycopg

from bench import agents, projects
from bench.system import System
from changes.base import clock
from changes.base.db import Database
from changes.results import partitions, run_numbers

PROJECTS, TESTS = 10, 2_000
BUILDS_PER_DAY_AT_MOST, DAYS_AT_LEAST = 13, 35
# As the build tables refer to each other; the first of each is copied.
COPIED = {
    "build": {},
    "job": {"build_id": "build"},
    "job_phase": {"job_id": "job"},
    "job_step": {"job_id": "job", "phase_id": "job_phase"},
}
NEW_TESTS = """
insert into test (project_id, name_sha, name)
select project.id, left(encode(sha256(named.name::bytea), 'hex'), 40), named.name
from project, lateral (
    select format('suite.package%%s.Class%%s.test_number_%%s', n / 200, n / 20, n) as name
    from generate_series(1, %(tests)s) n
) named
order by project.id, named.name
"""
NEW_IDS = """
create table copied_{table} as
select row.id as old_id, copy, uuidv7(made_at - now()) as id, made_at
from {table} row join {copies}
"""
FIRST_COPIES = """
lateral (
    select copy, cast(%(first)s as timestamptz) + copy * cast(%(apart)s as interval)
        + abs(hashtext(row.id::text)::bigint) %% 3000 * interval '1 second' as made_at
    from generate_series(0, %(builds)s - 1) copy
) copies on true
"""
# Numbers as run_numbers.py makes them.
NEW_BATCHES = f"""
insert into test_batch (
    id, end_id, step_id, job_id, build_id, project_id, date_created, is_of_commit, is_summed_up
)
select first, first + %(tests)s, step.id, step.job_id, job.build_id, step.project_id, made_at, true, true
from (
    select *, (extract(epoch from made_at - %(epoch)s)::bigint << {run_numbers.SERIAL_BITS}
        | row_number() over (order by id) %% {run_numbers.BATCHES_PER_SECOND})
        << {run_numbers.RUN_BITS} as first
    from copied_job_step
) new
join job_step step on step.id = new.id join job on job.id = step.job_id
"""
# What a run is, is told by a number made of its own: the same at each filling.
NEW_RUNS = """
insert into {table} (id, test_id, duration_ms, result, reruns)
select batch.id + n, known.first_test + n, 20 + chance %% 500,
    case when chance %% 100 = 0 then 2 when chance %% 100 < 3 then 3 else 1 end,
    case when n %% 20 = 5 and chance %% 7 = 0 then 1 + chance %% 2 else 0 end
from test_batch batch
join (select project_id, min(id) as first_test from test group by 1) known using (project_id)
cross join generate_series(0, %(tests)s - 1) n
cross join lateral (select abs(hashint8(batch.id + n)::bigint) as chance) dice
where batch.id >= %(begin)s and batch.id < %(end)s
"""
NEW_MESSAGES = """
insert into {table} (run_id, text)
select id, repeat('  File module.py, line ' || id %% 997 || ', in function' || chr(10), 12)
from {runs} where result = 2
"""
# In the order of life, where each day comes after the one before.
NEW_DAYS = """
with summed (
    project_id, day, test_id, runs, passed, failed, flaky, double_reruns, reruns, measured, duration_ms,
    longest_ms, last_run
) as materialized (
select batch.project_id, (batch.date_created at time zone 'UTC')::date, run.test_id, count(*),
    count(*) filter (where run.result = 1), count(*) filter (where run.result = 2),
    count(*) filter (where run.result = 1 and run.reruns > 0),
    count(*) filter (where run.result = 1 and run.reruns > 1),
    sum(run.reruns), count(run.duration_ms), sum(run.duration_ms), max(run.duration_ms),
    max(run.id) filter (where run.result = 1 and run.reruns > 0)
from test_batch batch join {runs} run on batch.id = run.id & %(mask)s
where batch.id >= %(begin)s and batch.id < %(end)s
group by 1, 2, 3
), apart as (
insert into test_flaky_day (project_id, day, test_id, flaky, double_reruns, passed, reruns, last_run)
select project_id, day, test_id, flaky, double_reruns, passed, reruns, last_run
from summed where flaky > 0 order by 2, 1, 3
on conflict do nothing
)
insert into test_day
select project_id, day, test_id, runs, passed, failed, flaky, double_reruns, reruns, measured, duration_ms,
    longest_ms
from summed order by 2, 1, 3
on conflict do nothing
"""
NEW_SUMS = """
insert into project_day
select project_id, day, count(*), sum(runs), sum(passed), sum(failed), sum(flaky), sum(double_reruns),
    sum(duration_ms)
from test_day group by 1, 2
"""


def fill(up: System, runs: int) -> None:
    """Runs of past months are loaded before their indexes are made; those of this month as in life."""
    builds = max(1, runs // (PROJECTS * TESTS))
    days = max(DAYS_AT_LEAST, builds // BUILDS_PER_DAY_AT_MOST)
    now = clock.now()
    first = now - timedelta(days=days)
    begin_with_one_build_each(up)
    with Database(up.database.replace("postgresql://", "postgresql+psycopg://")).transaction() as session:
        partitions.make(session, first, now)
    with psycopg.connect(up.database, autocommit=True) as connection:
        for setting in ("synchronous_commit = off", "maintenance_work_mem = '256MB'", "work_mem = '64MB'"):
            connection.execute(f"set {setting}")
        connection.execute(NEW_TESTS, {"tests": TESTS})
        copy_builds(connection, first, builds, timedelta(days=days) / (builds + 1))
        asked = {"tests": TESTS, "epoch": run_numbers.EPOCH}
        connection.execute(NEW_BATCHES, asked)
        connection.execute("analyze")
        for month in partitions.months(first, now):
            fill_month(connection, month)
        connection.execute(NEW_SUMS)
        # As packing.py does, which looks at it every hour.
        connection.execute("reindex index pk_test_flaky_day")
        connection.execute("vacuum (freeze, analyze)")


def begin_with_one_build_each(up: System) -> None:
    asking = up.caller()
    with agents.stand_in(up) as agent:
        for number in range(PROJECTS):
            asking.post("/api/0/builds/", projects.without_checkout(up, f"scale{number}").build)
            agent.taken.get(timeout=20)


def copy_builds(connection: psycopg.Connection, first: datetime, builds: int, apart: timedelta) -> None:
    for table, references in COPIED.items():
        whose = next(iter(references.items()), None)
        copies = (
            FIRST_COPIES if whose is None else f"copied_{whose[1]} copies on copies.old_id = row.{whose[0]}"
        )
        asked = {"first": first, "apart": apart, "builds": builds}
        connection.execute(NEW_IDS.format(table=table, copies=copies), asked)
        connection.execute(f"create index on copied_{table} (old_id, copy)")
        connection.execute(f"analyze copied_{table}")
        connection.execute(copying(connection, table, references))


def copying(connection: psycopg.Connection, table: str, references: dict[str, str]) -> str:
    """Every column as it is, but for the ids and what must be unique."""
    found = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [table],
    )
    changed = {"id": "new.id", "date_created": "new.made_at", "tally": "null"}
    changed |= {column: f"copied_{other}.id" for column, other in references.items()}
    if table == "build":
        changed["number"] = "1000 + new.copy"
    values = {row[0]: changed.get(row[0], f'row."{row[0]}"') for row in found.fetchall()}
    joins = "".join(
        f" join copied_{other} on copied_{other}.old_id = row.{column} and copied_{other}.copy = new.copy"
        for column, other in references.items()
    )
    names = ", ".join(f'"{column}"' for column in values)
    return (
        f"insert into {table} ({names}) select {', '.join(values.values())}"
        f" from {table} row join copied_{table} new on new.old_id = row.id{joins}"
    )


def fill_month(connection: psycopg.Connection, month: datetime) -> None:
    asked = {
        "begin": run_numbers.least_at(month),
        "end": run_numbers.least_at(partitions.later(month)),
        "tests": TESTS,
        "mask": run_numbers.BATCH_MASK,
    }
    runs, messages = (
        f"{partitions.SCHEMA}.{partitions.name_of(table, month)}" for table in partitions.TABLES
    )
    if partitions.later(month) <= clock.now():
        load_bare(connection, runs, asked)
    else:
        connection.execute(NEW_RUNS.format(table=runs) + " order by 1", asked)
    connection.execute(NEW_MESSAGES.format(table=messages, runs=runs), asked)
    connection.execute(f"analyze {runs}")
    connection.execute(NEW_DAYS.format(runs=runs), asked)


def load_bare(connection: psycopg.Connection, table: str, asked: dict[str, int]) -> None:
    """An index that is made of all rows takes a tenth of the time of one that grows with each."""
    bounds = f"from ({asked['begin']}) to ({asked['end']})"
    connection.execute(f"drop table {table}")
    connection.execute(f"create table {table} (like test_run including constraints including defaults)")
    connection.execute(NEW_RUNS.format(table=table) + " order by 1", asked)
    connection.execute(f"create index on {table} ((id & '{run_numbers.BATCH_MASK}'::bigint))")
    connection.execute(f"create index on {table} using brin (id) with (pages_per_range = 16)")
    for condition in ("", "where result = 2", "where reruns > 0"):
        connection.execute(f"create index on {table} (test_id, id) {condition}")
    connection.execute(f"alter table test_run attach partition {table} for values {bounds}")
