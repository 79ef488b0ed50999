"""Machines with an agent: how one gets in, is recognised, and is heard of; its keys: agent_keys.py.

`recognise` and `heard` are called all the time and speak plain SQL.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import bell, clock, ids, questions
from changes.base.errors import Forbidden, Invalid, OtherVersion
from changes.builds import agent_keys, housing
from changes.builds.lanes import Offer, clusters_of
from changes.builds.models import EnrolmentToken, Node
from changes.builds.queue_rules import NodeKind
from changes.builds.rules import HELD
from changes.people import secrets
from changes.protocol import VERSION, Enrolled, Enrolment, Machine

ENROLMENT_VALID_S = 24 * 3600
NAME_MAX = 128
KINDS_MAX = 20
# "Last seen" to some seconds: writing it at every call would make all calls of an agent
# wait for each other at this one row, and each for the disk.
RECOGNISE = """
with known as (
    select id, labels, cpus, memory_mb, date_last_seen, state = 0
        and (quarantined_until is null or quarantined_until <= statement_timestamp()) as is_welcome
    from node where token_digest = %s
), noted as (
    update node set date_last_seen = now() from known
    where node.id = known.id
    and (known.date_last_seen is null or known.date_last_seen < now() - interval '3 seconds')
)
select id, labels, cpus, memory_mb, is_welcome from known
"""
RECOGNISE_FORMER = RECOGNISE.replace(
    "token_digest = %s", "former_token_digest = %s and former_token_until > now()"
)
WITH_KEY = "select id from node where token_digest = %(digest)s"
# Who may speak about a step with the step's own token: nobody, once its machine's key was revoked.
HOLDER = """
select node.id from job_step join node on node.id = job_step.node_id
where job_step.id = %s and node.token_digest is not null
"""


@dataclass(frozen=True)
class KnownNode:
    id: UUID
    offer: Offer
    # Neither drained nor disabled nor in quarantine.
    is_welcome: bool = True


def make_enrolment_token(session: Session) -> str:
    secret = secrets.make()
    expires = clock.now() + timedelta(seconds=ENROLMENT_VALID_S)
    session.add(EnrolmentToken(id=ids.new(), digest=secrets.digest(secret), date_expires=expires))
    return secret


def enrol(session: Session, asked: Enrolment) -> Enrolled:
    """A new key for the agent; one that enrols again under its old name replaces the old key."""
    refuse_other_versions(asked.protocol)
    refuse_name(asked.name)
    token = spend(session, asked)
    node = session.execute(select(Node).where(Node.label == asked.name)).scalar_one_or_none() or Node(
        label=asked.name
    )
    if node.kind == NodeKind.SCHEDULER:
        raise Invalid("A scheduler of the original has this name; please take another.", ["name"])
    describe(node, asked)
    node.kind = NodeKind.AGENT
    secret = agent_keys.first(node)
    # Not seen yet with this key.
    node.date_last_seen = None
    session.add(node)
    session.flush()
    bell.tell(session, f"node:{node.id.hex}")
    token.node_id = node.id
    return Enrolled(token=secret, node_id=node.id.hex)


def refuse_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_MAX:
        raise Invalid(f"An agent needs a name of at most {NAME_MAX} characters.", ["name"])


def describe(node: Node, told: Machine) -> None:
    """All it says of itself but its name, which another one may have."""
    node.slots = max(1, told.slots)
    node.labels = housing.labels_of(told)
    node.cpus, node.memory_mb = told.cpus, told.memory_mb
    node.sandboxes, node.limits = kinds(told.sandboxes), kinds(told.limits)
    node.version, node.protocol = told.version[:NAME_MAX], told.protocol


def kinds(told: list[str]) -> list[str]:
    return [each[:NAME_MAX] for each in told[:KINDS_MAX]]


def spend(session: Session, asked: Enrolment) -> EnrolmentToken:
    mine = (
        select(EnrolmentToken).where(EnrolmentToken.digest == secrets.digest(asked.token)).with_for_update()
    )
    token = session.execute(mine).scalar_one_or_none()
    if token is None or token.date_expires < clock.now() or not is_free(session, token, asked.name):
        raise Forbidden(
            "This enrolment token is unknown, used or expired. `changes agent-token` makes a new one."
        )
    token.date_used = token.date_used or clock.now()
    return token


def is_free(session: Session, token: EnrolmentToken, name: str) -> bool:
    """An agent whose answer got lost asks again; it has not shown its key yet."""
    if token.date_used is None:
        return True
    node = session.get(Node, token.node_id) if token.node_id else None
    if node is None or node.label != name:
        return False
    return node.date_last_seen is None or node.date_last_seen < token.date_used


def refuse_other_versions(version: int) -> None:
    """One version apart is understood; more is refused in words."""
    if abs(version - VERSION) > 1:
        older = "agent" if version < VERSION else "server"
        raise OtherVersion(
            f"The agent speaks protocol {version}, this server {VERSION}. Please upgrade the {older}.",
            ["protocol"],
        )


async def recognise(connection: AsyncConnection[Any], secret: str) -> KnownNode | None:
    digest = secrets.digest(secret)
    row = await (await connection.execute(RECOGNISE, [digest])).fetchone()
    if row is None:
        # A new key, or one that was replaced a moment ago.
        is_new = await agent_keys.take_over(connection, digest)
        question = RECOGNISE if is_new else RECOGNISE_FORMER
        row = await (await connection.execute(question, [digest])).fetchone()
    if row is None:
        return None
    node_id, labels, cpus, memory_mb, is_welcome = row
    return KnownNode(node_id, Offer(clusters_of(labels), labels, cpus, memory_mb), is_welcome)


def with_key(session: Session, secret: str) -> UUID | None:
    """For whoever is heard of in other ways; None also for a key that is new, or was replaced just now."""
    session.flush()
    found = questions.ask(session, WITH_KEY, {"digest": secrets.digest(secret)})
    return found[0][0] if found else None


async def holder_of(connection: AsyncConnection[Any], step_id: UUID) -> UUID | None:
    row = await (await connection.execute(HOLDER, [step_id])).fetchone()
    return None if row is None else row[0]


async def heard(connection: AsyncConnection[Any], node_id: UUID, step_ids: list[UUID]) -> list[UUID]:
    """Notes that these steps are alive; returns those the agent must stop.

    A row that somebody is changing just now is passed over: the next heartbeat sees it.
    """
    held = [int(status) for status in HELD]
    await connection.execute(
        "update job_step set last_heartbeat = now() where id in (select id from job_step"
        " where id = any(%s) and node_id = %s and status = any(%s) for update skip locked)",
        [step_ids, node_id, held],
    )
    rows = await connection.execute(
        "select id from job_step where id = any(%s) and node_id = %s and status <> 3", [step_ids, node_id]
    )
    alive = {row[0] for row in await rows.fetchall()}
    return [step_id for step_id in step_ids if step_id not in alive]
