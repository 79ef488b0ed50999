"""How long a claim takes while a hundred thousand steps wait and a thousand agents are held, and what
those that only wait cost.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from bench import system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System
from bench.wire import HOST
from changes.base.db import Database
from changes.builds import lanes
from changes.people import secrets

CLAIMERS, PAUSE_S = 4, 0.05
# Until each connection of the server has planned its statement.
WARM_UP = 10
HOLD_S = 55.0
# Until all have asked once; then as long as it takes each of them to ask once more.
SETTLE_S = 12.0
WATCH_S = 55.0
PATIENCE_S = 90
PROJECTS, PEOPLE = 50, 4
BUSY, IDLE = "busy", "idle"
BARE_ROUNDS = 200
BARE = """
    update job_step set label = label where id = (
        select id from job_step where status = 6 order by id limit 1 for update skip locked
    )
"""
OVER = "update job_step set status = 3, result = 1, date_finished = now() where id = %s"
FILL = """
    with repo as (
        insert into repository (id, url, backend, status, date_created)
        values (gen_random_uuid(), 'queued', 0, 1, now()) returning id
    ), revision as (
        insert into revision (repository_id, sha, message, parents, branches, date_created)
        select id, 'a', '', '{}', '{}', now() from repo returning repository_id
    ), source as (
        insert into source (id, repository_id, revision_sha, data, date_created)
        select gen_random_uuid(), repository_id, 'a', '{}', now() from revision returning id
    ), person as (
        insert into author (id, name, email, date_created)
        select gen_random_uuid(), 'p' || n, n || '@queued', now() from generate_series(1, %(people)s) n
        returning id
    ), project as (
        insert into project (id, slug, name, repository_id, status, date_created)
        select gen_random_uuid(), 'queued-' || n, 'q', repo.id, 1, now()
        from repo, generate_series(1, %(projects)s) n returning id
    ), build as (
        insert into build (
            id, number, project_id, collection_id, source_id, author_id, cause, priority, label, target,
            message, tags, status, result, date_created, date_modified
        )
        select gen_random_uuid(), row_number() over (partition by project.id), project.id,
            gen_random_uuid(), source.id, person.id, 0, 0, 'b', 't', '', '{}', 6, 0, now(), now()
        from project, person, source returning id, project_id
    ), job as (
        insert into job (id, number, build_id, project_id, label, status, result, date_created, date_modified)
        select gen_random_uuid(), 1, id, project_id, 'j', 6, 0, now(), now() from build
        returning id, project_id
    ), phase as (
        insert into job_phase (id, job_id, label, "order", status, result, date_created)
        select gen_random_uuid(), id, 'p', 0, 6, 0, now() from job returning id, job_id
    )
    insert into job_step (
        id, job_id, phase_id, project_id, label, status, result, cluster, priority, timeout_s, data,
        date_created
    )
    select gen_random_uuid(), job.id, phase.id, job.project_id, 's', 6, 0, 'busy', 0, 3600, '{}', now()
    from job join phase on phase.job_id = job.id, generate_series(1, %(steps)s / %(lanes)s)
"""


@dataclass(frozen=True)
class Agents:
    """Keys of agents that are known to the server."""

    idle: list[str]
    busy: list[str]


def measure(*, quick: bool) -> Iterator[Figure]:
    steps, waiting, rounds = (10_000, 100, 40) if quick else (100_000, 1_000, 250)
    with system.running() as up:
        with psycopg.connect(up.database, autocommit=True) as database:
            agents = prepare(up, database, steps, waiting)
            bare_ms = bare(database)
        claims_ms, cpu_percent = asyncio.run(watched(up, agents, rounds))
    remark = f"{steps:,} steps in {PROJECTS * PEOPLE} lanes wait, {waiting:,} agents held"
    yield Figure(
        "claim of a step, p99",
        p99(claims_ms),
        "ms",
        count=len(claims_ms),
        limit=Limit("bare SKIP LOCKED statement, p99", bare_ms),
        goal=Goal("at most", 20),
        remark=f"median {median(claims_ms):.1f} ms; {remark}",
    )
    yield Figure(
        "web while agents only wait",
        cpu_percent,
        "% of a core",
        goal=Goal("at most", 5),
        remark=remark,
    )


def prepare(up: System, database: psycopg.Connection[tuple[object, ...]], steps: int, waiting: int) -> Agents:
    """Straight into the tables: through the API it would take an hour."""
    counts = {"projects": PROJECTS, "people": PEOPLE, "lanes": PROJECTS * PEOPLE, "steps": steps}
    database.execute(FILL.encode(), counts)
    url = up.database.replace("postgresql://", "postgresql+psycopg://")
    with Database(url, pool_size=1).transaction() as session:
        lanes.enter_due(session)
    database.execute("vacuum analyze")
    return Agents(
        idle=[known(database, f"idle-{number}", IDLE) for number in range(waiting)],
        busy=[known(database, f"busy-{number}", BUSY) for number in range(CLAIMERS)],
    )


def known(database: psycopg.Connection[tuple[object, ...]], name: str, cluster: str) -> str:
    secret = secrets.make()
    database.execute(
        "insert into node (id, label, slots, labels, version, token_digest, date_created)"
        " values (gen_random_uuid(), %s, 1, %s, '', %s, now())",
        [name, json.dumps({"cluster": cluster}), secrets.digest(secret)],
    )
    return secret


def bare(database: psycopg.Connection[tuple[object, ...]]) -> float:
    """The least that any queue in this database costs, commit and all."""
    took = []
    for _ in range(BARE_ROUNDS):
        started_at = time.perf_counter()
        database.execute(BARE.encode())
        took.append(1000 * (time.perf_counter() - started_at))
    return p99(took)


async def watched(up: System, agents: Agents, rounds: int) -> tuple[list[float], float]:
    holding = [asyncio.create_task(wait_for_ever(up.port, key)) for key in agents.idle]
    try:
        await asyncio.sleep(SETTLE_S)
        cpu_percent = await cpu_of_web(up)
        took = await asyncio.gather(*(claim(up, key, WARM_UP + rounds) for key in agents.busy))
    finally:
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
    return [each for mine in took for each in mine[WARM_UP:]], cpu_percent


async def cpu_of_web(up: System) -> float:
    web = up.programs()["web"]
    before, started_at = web.cpu_times(), time.perf_counter()
    await asyncio.sleep(WATCH_S)
    after = web.cpu_times()
    used_s = after.user - before.user + after.system - before.system
    return 100 * used_s / (time.perf_counter() - started_at)


async def wait_for_ever(port: int, key: str) -> None:
    agent = await Agent.connected(port, key)
    while True:
        await agent.next_steps(HOLD_S)


async def claim(up: System, key: str, rounds: int) -> list[float]:
    """What it got is over at once, past the server: an agent with one slot holds one step."""
    agent = await Agent.connected(up.port, key)
    took = []
    async with await psycopg.AsyncConnection.connect(up.database, autocommit=True) as database:
        for _ in range(rounds):
            await asyncio.sleep(PAUSE_S)
            started_at = time.perf_counter()
            offers = await agent.next_steps(0)
            took.append(1000 * (time.perf_counter() - started_at))
            if len(offers) != 1:
                raise RuntimeError(f"one step was asked for, and {len(offers)} came")
            await database.execute(OVER, [offers[0]["id"]])
    return took


class Agent:
    """One kept connection and as little of its own time as Python allows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader, self._writer, self._key = reader, writer, key

    @classmethod
    async def connected(cls, port: int, key: str) -> "Agent":
        return cls(*await asyncio.open_connection(HOST, port), key)

    async def next_steps(self, wait_s: float) -> list[dict[str, Any]]:
        body = json.dumps({"slots": 1, "wait_s": wait_s})
        head = (
            f"POST /api/0/agents/steps/next/ HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Authorization: Bearer {self._key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write((head + body).encode())
        async with asyncio.timeout(PATIENCE_S):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(": ", 1) for line in answer.decode().split("\r\n")[1:-2])
            content = await self._reader.readexactly(int(fields["content-length"]))
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{answer[:40]!r}: {content[:300]!r}")
        offers: list[dict[str, Any]] = json.loads(content)
        return offers
