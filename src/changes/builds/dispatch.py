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
# Nobody waits for the disk while he holds the lock; it is waited for afterwards, by many at once, and
# before an agent hears of its step. Where nothing was handed out there is nothing to wait for. 5 is
# allocated.
LOCK = f"select set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock({LOCK_NUMBER})"
FLUSH = """
select pg_logical_emit_message(true, 'changes', 'handed out') where exists (
    select from job_step where node_id = %s and status = 5
    and date_allocated > statement_timestamp() - interval '1 minute'
)
"""
hand_outs = itertools.count(1)
NAMED_VALUE = re.compile(r"%\((\w+)\)s")

# A step that got lost on this machine before goes to another one, unless nobody could do it who has not
# lost it yet.
MAY_TAKE = """(
    job_step.data->'avoid_nodes' is null
    or not job_step.data->'avoid_nodes' ? replace(%(node_id)s::uuid::text, '-', '')
    or not exists (
        select from node other where other.state = 0 and other.token_digest is not null
        and not job_step.data->'avoid_nodes' ? replace(other.id::text, '-', '')
        and other.date_last_seen > statement_timestamp() - make_interval(secs => %(silence_s)s)
        and (other.quarantined_until is null or other.quarantined_until <= statement_timestamp())
        and (
            here.cluster is null
            or here.cluster = any(string_to_array(coalesce(other.labels->>'cluster', ''), ','))
        )
        and other.labels @> here.labels
        and (other.cpus = 0 or here.cpus <= other.cpus)
        and (other.memory_mb = 0 or here.memory_mb <= other.memory_mb)
    )
)"""
# Numbers: status 6 pending_allocation, 5 allocated, 2 in_progress, 3 finished; result 1 passed,
# 2 failed; state 0 active; kind 1 a scheduler of the original, which asks for one cluster and no other.
# Literals, because only then does PostgreSQL use the partial indexes.
CANDIDATES = """
with recursive me as materialized (
    select
        node.id, node.labels, string_to_array(coalesce(node.labels->>'cluster', ''), ',') as clusters,
        node.kind = 1 as is_scheduler, nullif(node.cpus, 0) as cpus, nullif(node.memory_mb, 0) as memory_mb,
        nullif(node.cpus, 0) - coalesce(held.cpus, 0) as free_cpus,
        nullif(node.memory_mb, 0) - coalesce(held.memory_mb, 0) as free_memory_mb,
        case
            when node.quarantined_until is null then %(count)s
            -- After a quarantine one step to try; once that ended well, all is as before.
            when exists (
                select from job_step where job_step.node_id = node.id and status = 3 and result in (1, 2)
                and date_finished > node.quarantined_until
            ) then %(count)s
            else least(%(count)s, greatest(0, 1 - held.steps))
        end as slots
    from node cross join lateral (
        select count(*) as steps, sum(lane.cpus) as cpus, sum(lane.memory_mb) as memory_mb
        from job_step left join lane on lane.id = job_step.lane_id
        where job_step.node_id = node.id and job_step.status in (2, 5)
    ) held
    where node.id = %(node_id)s and node.state = 0 and node.token_digest is not null
        -- While a disk is full (base/room.py) nobody gets anything.
        and not exists (select from disk_room where is_paused)
        and (node.quarantined_until is null or node.quarantined_until <= statement_timestamp())
), open_lane as (
    (
        select lane_id, id as head, date_pending from job_step
        where status = 6 and lane_id is not null order by lane_id, id limit 1
    )
    union all
    select following.* from open_lane cross join lateral (
        select lane_id, id as head, date_pending from job_step
        where status = 6 and lane_id > open_lane.lane_id order by lane_id, id limit 1
    ) following
), suited as materialized (
    select
        lane.*, open_lane.head, open_lane.date_pending,
        coalesce(lane.typical_s, %(unknown_s)s) as charge_s,
        (me.cpus is null or lane.cpus <= me.free_cpus)
            and (me.memory_mb is null or lane.memory_mb <= me.free_memory_mb) as fits,
        case when %(is_for_overdue)s then
            case when open_lane.date_pending < statement_timestamp() - make_interval(secs => %(overdue_s)s)
            then open_lane.date_pending end
        end as overdue_since
    from me cross join open_lane join lane on lane.id = open_lane.lane_id
    where me.slots > 0
        and (lane.cluster is null or lane.cluster = any(me.clusters))
        and (not me.is_scheduler or lane.cluster is not distinct from me.clusters[1])
        and me.labels @> lane.labels
        and (me.cpus is null or lane.cpus <= me.cpus)
        and (me.memory_mb is null or lane.memory_mb <= me.memory_mb)
), option_of as materialized (
    select project_id,
        max(value) filter (where name = 'queue.weight')::float as weight,
        max(value) filter (where name = 'queue.limit')::int as most
    from project_option where name in ('queue.weight', 'queue.limit') and value ~ '^[0-9]{1,6}$'
    group by project_id
), project_room as materialized (
    select project_id, weight, most - (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where most is not null and lane.project_id = option_of.project_id and job_step.status in (2, 5)
    ) as room
    from option_of where project_id in (select project_id from suited)
), group_room as materialized (
    select name, "limit" - (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where lane.concurrency_group = concurrency_group.name and job_step.status in (2, 5)
    ) as room
    from concurrency_group where name in (select concurrency_group from suited)
), eligible as materialized (
    -- The smallest goes first: whoever waits too long, the class, then whose turn it is.
    select
        suited.*, project_room.room as project_room, group_room.room as group_room,
        coalesce(nullif(project_room.weight, 0), 1) as weight,
        coalesce(extract(epoch from overdue_since)::float, 'infinity') as by_patience,
        is_automatic::int - 2 * priority as by_class,
        greatest(project.virtual_time, class.clock) as project_start, project.virtual_time as project_time,
        greatest(person.virtual_time, project.clock) as person_start, person.virtual_time as person_time
    from suited
    join turn class on class.id = suited.class_turn_id
    join turn project on project.id = suited.project_turn_id
    join turn person on person.id = suited.person_turn_id
    left join project_room on project_room.project_id = suited.project_id
    left join group_room on group_room.name = suited.concurrency_group
    where coalesce(project_room.room, 1) > 0 and coalesce(group_room.room, 1) > 0
), too_large as materialized (
    -- The first that waits only for the rest of this machine, and for long: it is kept free for it.
    select eligible.* from eligible cross join me
    where not fits
        and eligible.date_pending < statement_timestamp() - make_interval(secs => %(reserve_after_s)s)
        and (reserved_node_id is null or reserved_node_id = me.id or reserved_until < statement_timestamp())
    order by by_patience, by_class, project_start, project_time, person_start, person_time, head limit 1
), reserved as (
    update lane set
        reserved_node_id = me.id,
        reserved_until = statement_timestamp() + make_interval(secs => %(reserved_s)s)
    from too_large cross join me where lane.id = too_large.id
), best as materialized (
    -- More lanes than steps are asked for: each project has several, and the first may be empty by now.
    -- Of the first ones it is looked, in their order, whether a step there need not avoid this machine.
    select here.* from (
        select eligible.* from eligible left join too_large on true
        where eligible.fits and (
            too_large.id is null or
            (eligible.by_patience, eligible.by_class, eligible.project_start, eligible.project_time,
                eligible.person_start, eligible.person_time, eligible.head)
            < (too_large.by_patience, too_large.by_class, too_large.project_start, too_large.project_time,
                too_large.person_start, too_large.person_time, too_large.head)
        )
        order by eligible.by_patience, eligible.by_class, eligible.project_start, eligible.project_time,
            eligible.person_start, eligible.person_time, eligible.head
        limit %(lanes_looked_at)s
    ) here
    cross join lateral (
        select from job_step where status = 6 and lane_id = here.id and {may_take} limit 1
    ) one
    limit %(lanes)s
""".replace("{may_take}", MAY_TAKE)
# How several steps are served one after the other.
LINE_UP = """
), entry as (
    -- Its first, second, ... step, each at the time it would be served.
    select here.*, nth, person_start + (nth - 1) * charge_s as person_at
    from best here
    cross join lateral (
        select count(*) as waiting from (
            select from job_step where status = 6 and lane_id = here.id and {may_take} limit %(count)s
        ) few
    ) counted
    cross join lateral generate_series(1, counted.waiting) nth
), timed as (
    select *, project_start + charge_s / weight * (
        row_number() over (
            partition by project_turn_id order by by_patience, person_at, person_time, head, nth
        ) - 1
    ) as project_at
    from entry
), lined_up as (
    select *, row_number() over (
        order by by_patience, by_class, project_at, project_time, person_at, person_time, head, nth
    ) as place_in_line
    from timed
), counted as (
    select *,
        row_number() over (partition by project_id order by place_in_line) as of_project,
        row_number() over (partition by concurrency_group order by place_in_line) as of_group,
        sum(cpus) over (order by place_in_line) as cpus_so_far,
        sum(memory_mb) over (order by place_in_line) as memory_so_far_mb
    from lined_up
), allowed as (
    select counted.*, row_number() over (order by place_in_line) as number, me.slots
    from counted cross join me
    where (project_room is null or of_project <= project_room)
        and (group_room is null or of_group <= group_room)
        and (me.cpus is null or cpus_so_far <= me.free_cpus)
        and (me.memory_mb is null or memory_so_far_mb <= me.free_memory_mb)
), chosen as materialized (
    -- Lanes with how many steps of each; behind them spare ones, in case somebody holds those.
    select distinct on (id) *, count(*) over (partition by id, number <= slots) as wanted from allowed
    order by id, number
""".replace("{may_take}", MAY_TAKE)
# Of one alone only the lane matters.
FIRST = """
), chosen as materialized (
    select best.*, row_number() over () as number, 1 as wanted from best
"""
FREE = """
), free as materialized (
    select here.*, step.step_id, (
        here.project_room is not null or here.group_room is not null
        or here.cpus > 0 or here.memory_mb > 0
    ) as is_limited
    from (select * from chosen order by number) here
    cross join lateral (
        select id as step_id from job_step
        where status = 6 and lane_id = here.id and {may_take}
        order by id limit here.wanted
        for update skip locked
    ) step
    limit (select slots from me)
)
""".replace("{may_take}", MAY_TAKE)
HAND_OUT = """
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
), unreserved as (
    update lane set reserved_node_id = null, reserved_until = null
    where id in (select id from free where reserved_node_id is not null)
        and id not in (select id from too_large)
), taken as (
    update job_step set
        status = 5, node_id = %(node_id)s, is_limited = free.is_limited,
        last_heartbeat = statement_timestamp(), date_allocated = statement_timestamp()
    from free where job_step.id = free.step_id
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
CHOOSE, CHOOSE_ONE = CANDIDATES + LINE_UP + FREE, CANDIDATES + FIRST + FREE
TAKE, TAKE_ONE = CHOOSE + HAND_OUT + READ, CHOOSE_ONE + HAND_OUT + READ


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
    connection: AsyncConnection[Any], *, node_id: UUID, count: int, silence_s: int
) -> list[Taken]:
    """At most `count` steps, never one that another agent gets too."""
    is_for_overdue = next(hand_outs) % EVERY_NTH_FOR_OVERDUE == 0
    given = values(node_id, count, silence_s=silence_s, is_for_overdue=is_for_overdue)
    rows = await decide(connection, taking(count), given)
    return [
        Taken(offers.offer(row), Needs(row["cluster"], row["labels"], row["cpus"], row["memory_mb"]))
        for row in rows
    ]


async def decide(
    connection: AsyncConnection[Any], statement: str, given: dict[str, object]
) -> list[dict[str, Any]]:
    """One statement alone at the queue. The lock comes before the look: each statement sees what is
    there when it begins. All of it travels at once, and whoever hears what was handed out may rely on it.
    """
    numbered, names = with_numbers(statement)
    async with AsyncRawCursor(connection, row_factory=dict_row) as cursor:
        async with connection.pipeline() as pipeline:
            await connection.execute(LOCK, prepare=True)
            await cursor.execute(numbered, [given[name] for name in names], prepare=True)
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
