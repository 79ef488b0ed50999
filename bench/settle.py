"""An agent's report that a step has ended, in builds of 4, 400 and 4,000 jobs, until it is committed."""

import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
from sqlalchemy import select

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System
from changes.app import plugins
from changes.base import db
from changes.base.process import settings
from changes.base.settings import Settings
from changes.builds import report
from changes.builds.models import Build, Command, Job, JobStep, Node
from changes.builds.rules import Status
from changes.protocol import CommandReport, StepReport

JOBS = (4, 400, 4_000)
# As many reports at the beginning and at the end are looked at.
SAMPLE = 40
# The jobs of a build that was made by the API are copied; each has one phase with one step, in the hands
# of an agent that nobody misses meanwhile.
COPIED = """
create or replace function pg_temp.as_id(old uuid, copy int) returns uuid language sql immutable as
$$ select md5(old::text || copy)::uuid $$;
insert into job (id, number, build_id, project_id, label, date_modified, date_created, status, result)
select pg_temp.as_id(id, copy), 1 + copy, build_id, project_id, label, date_modified, date_created, 6, 0
from job, generate_series(1, {copies}) as copy where build_id = '{build}' and number = 1;
insert into job_phase (id, job_id, label, "order", date_created, status, result)
select pg_temp.as_id(phase.id, copy), pg_temp.as_id(job.id, copy), phase.label, 0, phase.date_created, 6, 0
from job join job_phase phase on phase.job_id = job.id, generate_series(1, {copies}) as copy
where build_id = '{build}' and number = 1;
insert into job_step (id, job_id, phase_id, project_id, label, node_id, priority, timeout_s, data,
                      date_created, last_heartbeat, status, result)
select pg_temp.as_id(step.id, copy), pg_temp.as_id(job.id, copy), pg_temp.as_id(phase_id, copy),
       step.project_id, step.label, node_id, priority, timeout_s, data, step.date_created,
       now() + interval '1 hour', 5, 0
from job join job_step step on step.job_id = job.id, generate_series(1, {copies}) as copy
where build_id = '{build}' and number = 1;
insert into command (id, step_id, label, status, script, env, cwd, artifacts, "order", type, date_created)
select pg_temp.as_id(command.id, copy), pg_temp.as_id(step.id, copy), command.label, 1, script, env, cwd,
       artifacts, "order", type, command.date_created
from job join job_step step on step.job_id = job.id join command on command.step_id = step.id,
     generate_series(1, {copies}) as copy
where build_id = '{build}' and number = 1;
-- The stand-in has ended the first job, and with it the build.
update build set tally = null, status = 6, result = 0, date_finished = null where id = '{build}';
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    with system.running() as up:
        url = up.database.replace("postgresql://", "postgresql+psycopg://")
        database = db.Database(url, pool_size=1)
        settings.set(Settings(home=up.home))
        plugins.introduce()
        floor_ms = bare_ms(up)
        for jobs in JOBS[: 2 if quick else 3]:
            yield figure_of(database, a_build(up, jobs), jobs, floor_ms)
        database.close()


def a_build(up: System, jobs: int) -> UUID:
    """Every step of it in the hands of one agent that has said nothing yet."""
    project = projects.without_checkout(up, f"settle{jobs}")
    with agents.stand_in(up) as agent:
        build_id = UUID(up.caller().post("/api/0/builds/", project.build)[0]["id"])
        agent.taken.get(timeout=20)
    with psycopg.connect(up.database, autocommit=True) as connection:
        connection.execute(COPIED.format(copies=jobs - 1, build=build_id).encode())
        connection.execute(
            "update job_step set status = 5, result = 0, last_heartbeat = now() + interval '1 hour' from job"
            " where job.id = job_step.job_id and build_id = %s and number > 1",
            [build_id],
        )
        connection.execute("analyze")
    return build_id


def figure_of(database: db.Database, build_id: UUID, jobs: int, floor_ms: float) -> Figure:
    with database.transaction() as session:
        mine = select(JobStep.id, Node.id, Command.id).join(Job, Job.id == JobStep.job_id)
        mine = mine.join(Command, Command.step_id == JobStep.id).join(Node, Node.id == JobStep.node_id)
        waiting = mine.where(Job.build_id == build_id, JobStep.status != Status.FINISHED).order_by(Job.number)
        steps = [(row[0], row[1], row[2]) for row in session.execute(waiting)]
    took_ms = [report_ms(database, *step) for step in steps]
    with database.transaction() as session:
        if not session.get_one(Build, build_id).is_finished:
            raise RuntimeError("the build did not end")
    last = took_ms[-min(SAMPLE, len(took_ms)) :]
    return Figure(
        f"report settled, the last of {jobs:,} jobs",
        median(last),
        "ms",
        count=len(last),
        p99=p99(last),
        limit=Limit("one committed update", floor_ms),
        goal=Goal("at most", 20),
        remark=f"the very last {took_ms[-1]:.1f}, median of all {median(took_ms):.1f}",
    )


def report_ms(database: db.Database, step_id: UUID, node_id: UUID, command_id: UUID) -> float:
    ended = CommandReport(id=command_id.hex, status="finished", return_code=0, duration_ms=5)
    told = StepReport(status="finished", result="passed", commands=[ended])
    began = time.perf_counter()
    with database.transaction() as session:
        report.accept(session, node_id, step_id, told, replace_limit=6)
    return 1000 * (time.perf_counter() - began)


def bare_ms(up: System) -> float:
    """One row changed and committed, with nothing around it."""
    took = []
    with psycopg.connect(up.database, autocommit=True) as connection:
        connection.execute("create table bare_settle (id int primary key, number int)")
        connection.execute("insert into bare_settle values (1, 0)")
        for _ in range(SAMPLE):
            began = time.perf_counter()
            connection.execute("update bare_settle set number = number + 1 where id = 1")
            took.append(1000 * (time.perf_counter() - began))
    return median(took)
