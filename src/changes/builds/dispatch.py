"""Hands steps to agents: the only place that moves pending_allocation to allocated.

Plain SQL on an async connection, because every free slot of every agent waits here. One statement
decides, takes the steps and reads all that is needed to run them. It looks at lanes (lanes.py): those
of which this machine may have a step come in order of priority, people before programs, then by
whose turn it is, among projects first and in a project among its people.

A turn is a virtual time: whoever gets a step pays what such a step takes as a rule, divided by the
weight of his project, and whoever paid least comes next (start-time fair queueing). The clock of a
class is where it has got to; who was away begins there and has saved up nothing.

Hand-outs come one after the other, by an advisory lock that is held for a millisecond: a limit is
counted from what runs, so it can be changed at any time and is never exceeded.
"""

import functools
import itertools
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row

from changes.builds import offers
from changes.builds.candidates import CHOOSE, CHOOSE_ONE
from changes.builds.lanes import Needs
from changes.protocol import StepOffer

LOCK_NUMBER = 0x6C616E65  # "lane"
# What a step costs whose lane has no history yet.
UNKNOWN_S = 60
# A lane whose first step waits for so long is served by every eighth hand-out, whatever its priority:
# nobody waits for ever. And so long a step that is too large for what is free anywhere waits before a
# machine is kept free for it.
OVERDUE_S = 600
RESERVE_AFTER_S = 60
RESERVED_S = 300
EVERY_NTH_FOR_OVERDUE = 8
# So many lanes are looked at for each step that is asked for.
LANES_PER_STEP = 4
# And of so many for each of these it is looked whether all that waits there must avoid this machine.
LOOKED_AT_PER_LANE = 8
# Nobody waits for the disk while he holds the lock that others want; it is waited for afterwards, by many
# at once, and before an agent hears of its step. Where nothing was handed out there is nothing to wait for.
# 5 is allocated.
LOCK_ALONE = f"select pg_advisory_xact_lock({LOCK_NUMBER})"
LOCK = f"select set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock({LOCK_NUMBER})"
FLUSH = """
select pg_logical_emit_message(true, 'changes', 'handed out') where exists (
    select from job_step where node_id = %s and status = 5
    and date_allocated > statement_timestamp() - interval '1 minute'
)
"""
hand_outs = itertools.count(1)
NAMED_VALUE = re.compile(r"%\((\w+)\)s")

# Whose turn it was pays.
PAID = """
, paid as (
    update turn set
        virtual_time = greatest(turn.virtual_time, owed.virtual_time),
        clock = greatest(turn.clock, owed.clock)
    from (
        select class_turn_id as id, 0 as virtual_time, max(project_start) as clock from free group by 1
        union all
        select project_turn_id, max(project_start) + sum(charge_s / weight), max(person_start)
        from free group by 1
        union all
        select person_turn_id, max(person_start) + sum(charge_s), 0 from free group by 1
    ) owed
    where turn.id = owed.id
"""
PAID_FOR_ONE = """
, paid as (
    update turn set
        virtual_time = greatest(turn.virtual_time, case turn.id
            when project_turn_id then project_start + charge_s / weight
            when person_turn_id then person_start + charge_s
            else 0
        end),
        clock = greatest(turn.clock, case turn.id
            when class_turn_id then project_start
            when project_turn_id then person_start
            else 0
        end)
    from free where turn.id = any(array[class_turn_id, project_turn_id, person_turn_id])
"""
HAND_OUT = """
), reserved as (
    update lane set reserved_node_id = said.node_id, reserved_until = said.until
    from (
        select
            too_large.id, me.id as node_id,
            statement_timestamp() + make_interval(secs => %(reserved_s)s) as until
        from too_large cross join me
        union all
        select id, null, null from free
        where reserved_node_id is not null and id not in (select id from too_large)
    ) said
    where lane.id = said.id
), taken as (
    update job_step set
        status = 5, node_id = %(node_id)s, is_limited = free.is_limited,
        last_heartbeat = statement_timestamp(), date_allocated = statement_timestamp()
    from free
    -- The array says that there are few of them; of what waits there may be many.
    where job_step.id = free.step_id and job_step.id = any(array(select step_id from free))
    returning job_step.id, free.number, free.cluster, free.labels, free.cpus, free.memory_mb
)
"""
READ = """
select
    step.id, step.label, step.attempt, step.timeout_s, step.data,
    taken.cluster, taken.labels, taken.cpus, taken.memory_mb,
    job.id as job_id, job.label as job_label,
    build.id as build_id, build.number, build.target, build.is_trusted, project.id as project_id,
    project.slug, repository.url, repository.backend, source.revision_sha, source.patch_id, revision.branches,
    (
        select json_agg(json_build_object(
            'id', replace(command.id::text, '-', ''), 'label', command.label, 'script', command.script,
            'cwd', command.cwd, 'env', command.env, 'artifacts', command.artifacts, 'type', command.type
        ) order by command.order)
        from command where command.step_id = step.id
    ) as commands,
    (
        select json_agg(json_build_object('name', name, 'sealed', encode(sealed, 'base64')))
        from project_secret where project_id = project.id and build.is_trusted
        and step.data->'secrets' ? name
    ) as secrets
from taken join job_step step on step.id = taken.id
join job on job.id = step.job_id
join build on build.id = job.build_id
join project on project.id = build.project_id
join source on source.id = build.source_id
join repository on repository.id = source.repository_id
join revision on revision.repository_id = source.repository_id and revision.sha = source.revision_sha
order by taken.number, step.id
"""
HAND_OUT_MANY = PAID + HAND_OUT
TAKE, TAKE_ONE = CHOOSE + HAND_OUT_MANY + READ, CHOOSE_ONE + PAID_FOR_ONE + HAND_OUT + READ


@dataclass(frozen=True)
class Taken:
    """A step for the agent, and what it needed: whoever waited for other needs was not served by it."""

    offer: StepOffer
    needs: Needs


def values(
    node_id: UUID, count: int, *, silence_s: int = 60, is_for_overdue: bool = False
) -> dict[str, object]:
    return {
        "node_id": node_id,
        "count": count,
        "silence_s": silence_s,
        "is_for_overdue": is_for_overdue,
        "overdue_s": OVERDUE_S,
        "reserve_after_s": RESERVE_AFTER_S,
        "reserved_s": RESERVED_S,
        "unknown_s": UNKNOWN_S,
        "lanes": LANES_PER_STEP * count,
        "lanes_looked_at": LOOKED_AT_PER_LANE * LANES_PER_STEP * count,
    }


def taking(count: int) -> str:
    return TAKE if count > 1 else TAKE_ONE


async def take_steps(
    connection: AsyncConnection[Any], *, node_id: UUID, count: int, silence_s: int, is_alone: bool = False
) -> list[Taken]:
    """At most `count` steps, never one that another agent gets too."""
    is_for_overdue = next(hand_outs) % EVERY_NTH_FOR_OVERDUE == 0
    given = values(node_id, count, silence_s=silence_s, is_for_overdue=is_for_overdue)
    rows = await decide(connection, taking(count), given, is_alone=is_alone)
    return [
        Taken(offers.offer(row), Needs(row["cluster"], row["labels"], row["cpus"], row["memory_mb"]))
        for row in rows
    ]


async def decide(
    connection: AsyncConnection[Any], statement: str, given: dict[str, object], *, is_alone: bool = False
) -> list[dict[str, Any]]:
    """One statement alone at the queue. The lock comes before the look: each statement sees what is
    there when it begins. All of it travels at once, and whoever hears what was handed out may rely on it.
    Where nobody else is about to look, the disk is waited for with the lock: that is one statement less.
    """
    numbered, names = with_numbers(statement)
    async with AsyncRawCursor(connection, row_factory=dict_row) as cursor:
        async with connection.pipeline() as pipeline:
            await connection.execute(LOCK_ALONE if is_alone else LOCK, prepare=True)
            await cursor.execute(numbered, [given[name] for name in names], prepare=True)
            if not is_alone:
                # What travels together up to here is one transaction.
                await pipeline.sync()
                await connection.execute(FLUSH, [given["node_id"]], prepare=True)
        return await cursor.fetchall()


async def consider(
    connection: AsyncConnection[Any], statement: str, given: dict[str, object]
) -> list[dict[str, Any]]:
    """What it would decide; nothing of it is done. Rolled back by psycopg's own word: of one that travels
    among other statements it learns too late that what it has prepared is gone.
    """
    numbered, names = with_numbers(statement)
    async with connection.transaction(force_rollback=True):
        await connection.execute(LOCK)
        async with AsyncRawCursor(connection, row_factory=dict_row) as cursor:
            await cursor.execute(numbered, [given[name] for name in names])
            return await cursor.fetchall()


@functools.cache
def with_numbers(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """As PostgreSQL itself names values, and their names in that order: otherwise all of this long text
    is looked through for them at every hand-out.
    """
    names = tuple(dict.fromkeys(NAMED_VALUE.findall(statement)))
    return NAMED_VALUE.sub(lambda found: f"${names.index(found[1]) + 1}", statement).encode(), names
