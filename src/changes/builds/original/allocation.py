"""A scheduler of the original looks at what waits, and takes steps by their names.

What it sees is what our own hand-out would give it now, in that order, and it takes them through the
hand-out: same lanes, turns, limits and lock (dispatch.py). It gets all that it names, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from changes.base.errors import ChangesError, Conflict, Invalid
from changes.builds import dispatch, offers
from changes.builds.candidates import CHOOSE
from changes.builds.dispatch import HAND_OUT_MANY, READ, RESERVED_S, UNKNOWN_S
from changes.builds.original import machines
from changes.builds.rules import Status
from changes.protocol import StepOffer

CHOSEN = """
, taken as (
    select step_id as id, number, cluster, labels, cpus, memory_mb from free
)
"""
BY_NAME = """
with me as materialized (
    select id, nullif(labels->>'cluster', '') as cluster from node
    where id = %(node_id)s and state = 0 and token_digest is not null
        and (quarantined_until is null or quarantined_until <= statement_timestamp())
), wanted as materialized (
    select step.id as step_id, lane.*, coalesce(lane.typical_s, %(unknown_s)s) as charge_s
    from me cross join job_step step join lane on lane.id = step.lane_id
    where step.id = any(%(step_ids)s) and step.status = 6
        and lane.cluster is not distinct from me.cluster and lane.labels = '{}'
    order by step.id for update of step skip locked
), too_many as materialized (
    select from wanted join project_option most on most.project_id = wanted.project_id
        and most.name = 'queue.limit' and most.value ~ '^[0-9]{1,6}$'
    group by wanted.project_id, most.value
    having most.value::int < count(*) + (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where lane.project_id = wanted.project_id and job_step.status in (2, 5)
    )
    union all
    select from wanted join concurrency_group most on most.name = wanted.concurrency_group
    group by most.name, most.limit
    having most.limit < count(*) + (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where lane.concurrency_group = most.name and job_step.status in (2, 5)
    )
), weighed as materialized (
    select project_id, nullif(value::float, 0) as weight from project_option
    where name = 'queue.weight' and value ~ '^[0-9]{1,6}$'
), too_large as (
    -- A scheduler knows itself what its machines have room for.
    select null::uuid as id where false
), free as materialized (
    select
        wanted.*, row_number() over (order by step_id) as number, true as is_limited,
        coalesce(weighed.weight, 1) as weight,
        greatest(project.virtual_time, class.clock) as project_start,
        greatest(person.virtual_time, project.clock) as person_start
    from wanted
    join turn class on class.id = wanted.class_turn_id
    join turn project on project.id = wanted.project_turn_id
    join turn person on person.id = wanted.person_turn_id
    left join weighed on weighed.project_id = wanted.project_id
    where (select count(*) from wanted) = cardinality(%(step_ids)s) and not exists (select from too_many)
)
"""
ONE = """
with taken as (
    select id, 1 as number, cluster, null::jsonb as labels, 0 as cpus, 0 as memory_mb
    from job_step where id = %(step_id)s
)
"""
LOOK, TAKE_NAMED, OF_STEP = f"{CHOOSE}{CHOSEN}{READ}", f"{BY_NAME}{HAND_OUT_MANY}{READ}", f"{ONE}{READ}"
ASKED_FOR = """
select step.id, step.status, step.cluster, project.slug
from job_step step join project on project.id = step.project_id where step.id = any(%s)
"""
AT_ONCE_MAX = 200


@dataclass(frozen=True)
class Candidate:
    offer: StepOffer
    cluster: str | None


class AlreadyAllocated(Conflict):
    """Somebody else was faster; it may be one of our own agents."""


class OverLimit(Conflict):
    """A project, or a group, may not have more steps at once."""


async def look(
    connection: AsyncConnection[Any], node_id: UUID, *, limit: int, silence_s: int
) -> list[Candidate]:
    """Changes nothing: what it chose is let go again."""
    await machines.seen(connection, node_id)
    given = dispatch.values(node_id, min(limit, AT_ONCE_MAX), silence_s=silence_s)
    rows = await dispatch.consider(connection, LOOK, given)
    return [Candidate(offers.offer(row), row["cluster"]) for row in rows]


async def take(
    connection: AsyncConnection[Any], node_id: UUID, step_ids: Sequence[UUID], cluster: str | None
) -> list[UUID]:
    """All of them, or none and why."""
    await machines.seen(connection, node_id)
    wanted = list(dict.fromkeys(step_ids))
    if len(wanted) > AT_ONCE_MAX:
        raise Invalid(f"At most {AT_ONCE_MAX} jobsteps are allocated at once.", ["jobstep_ids"])
    given: dict[str, object] = {
        "node_id": node_id,
        "step_ids": wanted,
        "unknown_s": UNKNOWN_S,
        "reserved_s": RESERVED_S,
    }
    taken = await dispatch.decide(connection, TAKE_NAMED, given)
    if wanted and not taken:
        raise await why_not(connection, wanted, cluster)
    return wanted


async def why_not(
    connection: AsyncConnection[Any], step_ids: Sequence[UUID], cluster: str | None
) -> ChangesError:
    rows = await (await connection.execute(ASKED_FOR, [list(step_ids)])).fetchall()
    known = {row[0]: row[1:] for row in rows}
    for step_id in step_ids:
        if step_id not in known:
            return Invalid(f"Invalid jobstep id sent to jobstep_allocate: {step_id.hex}", ["jobstep_ids"])
        status, its_cluster, slug = known[step_id]
        if its_cluster != cluster:
            return Invalid(
                f"Jobstep {step_id.hex} is in cluster {its_cluster} and not in {cluster}", ["cluster"]
            )
        if status != Status.PENDING_ALLOCATION:
            return AlreadyAllocated(f"Jobstep {step_id.hex} for project {slug} was already allocated")
    return OverLimit("Could not commit allocation: a limit is reached, or this scheduler may not work now")


async def offer_of(connection: AsyncConnection[Any], step_id: UUID) -> StepOffer:
    """What the step's agent is to do, as it was when the step was handed out."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(OF_STEP, {"step_id": step_id})
        row = await cursor.fetchone()
    if row is None:
        raise Invalid("The step is gone.")
    return offers.offer(row)
