"""The keys of agents: made, replaced, taken away.

An agent that asks for another key gets it beside its own. Only when it shows the new one does that
become its key: an answer that got lost, or an agent that was killed before it had stored it, changes
nothing. The old key is good for some minutes more, because requests with it may be on their way.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import update
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Conflict
from changes.base.process import settings
from changes.builds import health, telling
from changes.builds.models import Node
from changes.builds.queue_rules import NodeKind
from changes.people import secrets

TAKE_OVER = """
update node set
    token_digest = next_token_digest, next_token_digest = null, date_token = now(), is_token_due = false,
    former_token_digest = token_digest, former_token_until = now() + interval '10 minutes'
where next_token_digest = %s
"""


def first(node: Node) -> str:
    """Its only one: whatever was good before is not any more."""
    secret = secrets.make()
    forget(node)
    node.token_digest, node.date_token = secrets.digest(secret), clock.now()
    return secret


def next_for(session: Session, node_id: UUID) -> str:
    secret = secrets.make()
    # Not for one whose key was taken away a moment ago.
    mine = update(Node).where(Node.id == node_id, Node.token_digest.is_not(None))
    session.execute(mine.values(next_token_digest=secrets.digest(secret)))
    return secret


async def take_over(connection: AsyncConnection[Any], digest: str) -> bool:
    """Whether this is a new key, shown for the first time."""
    return (await connection.execute(TAKE_OVER, [digest])).rowcount > 0


def is_due(node: Node) -> bool:
    """Somebody asked for it, or the key is as old as the settings allow."""
    days = settings.get().agent_key_max_days
    made = node.date_token or node.date_created
    return node.is_token_due or (days > 0 and clock.now() - made > timedelta(days=days))


def ask_for_another(session: Session, node: Node) -> None:
    """The agent hears of it at its next hello."""
    if node.token_digest is None or node.kind != NodeKind.AGENT:
        raise Conflict("It has no key that could be replaced: it was revoked, or is no agent of ours.")
    node.is_token_due = True
    session.flush()
    health.tell(session, node.id)


def revoke(session: Session, node: Node) -> None:
    """The agent is told so at once, and ends."""
    forget(node)
    session.flush()
    health.tell(session, node.id)
    telling.tell_to_stop(session, node.id)


def forget(node: Node) -> None:
    node.token_digest = node.next_token_digest = node.former_token_digest = None
    node.former_token_until, node.date_token, node.is_token_due = None, None, False
