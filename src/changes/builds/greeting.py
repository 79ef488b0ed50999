"""An agent says who it is: at each start, when its settings change, and every ten minutes."""

from importlib import metadata
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.process import settings
from changes.builds import agent_keys, health, machines, nodes, reasons
from changes.builds.models import Node
from changes.builds.reasons import Reason
from changes.builds.rules import ReplaceLimits
from changes.protocol import LOG_CHUNK_MAX_BYTES, VERSION, Hello, Welcome

PROBLEM_MAX = 500
WHAT_COUNTS = ("label", "slots", "labels", "cpus", "memory_mb", "sandboxes", "limits", "version", "problem")


def greet(session: Session, node_id: UUID, told: Hello, limits: ReplaceLimits) -> Welcome:
    nodes.refuse_other_versions(told.protocol)
    nodes.refuse_name(told.name)
    mine = select(Node).where(Node.id == node_id).with_for_update()
    node = session.execute(mine).scalar_one()
    before = [getattr(node, name) for name in WHAT_COUNTS]
    if is_free(session, node, told.name):
        node.label = told.name
    nodes.describe(node, told)
    node.problem = told.problem[:PROBLEM_MAX]
    if told.steps is not None:
        node.date_started = clock.now()
        session.flush()
        take_back_lost(session, node, told.steps, limits)
    session.flush()
    if before != [getattr(node, name) for name in WHAT_COUNTS]:
        # Steps that waited for such a machine may have found it.
        health.tell(session, node.id)
    return Welcome(
        name=node.label,
        protocol=VERSION,
        version=metadata.version("changes"),
        is_key_due=agent_keys.is_due(node),
        log_chunk_max_bytes=LOG_CHUNK_MAX_BYTES,
        artifact_max_bytes=settings.get().max_artifact_bytes,
        takes_log_end=True,
    )


def is_free(session: Session, node: Node, name: str) -> bool:
    """A name that another machine has stays with it; the agent is told what it is called instead."""
    others = select(Node.id).where(Node.label == name, Node.id != node.id)
    return session.execute(others).first() is None


def take_back_lost(session: Session, node: Node, steps: list[str], limits: ReplaceLimits) -> int:
    """What it was given and knows nothing of: it died before it had stored them, or lost its disk."""
    why = Reason(reasons.AGENT_RESTARTED, {"node": node.label})
    return machines.take_away(session, node, why, limits, but=steps)
