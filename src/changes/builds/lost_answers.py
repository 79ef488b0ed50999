"""An answer with steps in it got lost: the agent says what it has, and what else it was given comes again.

Only what it never began. Nothing changes hands here, so nothing of the queue is touched.
"""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from changes.builds import offers
from changes.builds.dispatch import READ
from changes.protocol import StepOffer

# Status 5 is allocated. One that somebody is changing just now is being ended.
GIVEN = """
with lost as materialized (
    select step.id, step.lane_id from job_step step
    where step.node_id = %(node_id)s and step.status = 5
        and not replace(step.id::text, '-', '') = any(%(held)s)
    for update skip locked
), taken as (
    update job_step set last_heartbeat = statement_timestamp()
    from lost left join lane on lane.id = lost.lane_id
    where job_step.id = lost.id
    returning job_step.id, 1 as number, lane.cluster, lane.labels, lane.cpus, lane.memory_mb
)
"""


async def offer_again(connection: AsyncConnection[Any], node_id: UUID, held: list[str]) -> list[StepOffer]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"{GIVEN}{READ}", {"node_id": node_id, "held": held})
        return [offers.offer(row) for row in await cursor.fetchall()]


async def tell_to_leave(connection: AsyncConnection[Any], node_id: UUID) -> None:
    """To whoever holds a question of this agent."""
    await connection.execute("select pg_notify('leave', %s)", [node_id.hex])
