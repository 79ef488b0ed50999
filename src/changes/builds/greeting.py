"""An agent says who it is: at each start, when its settings change, and every ten minutes."""

from datetime import timedelta
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

PROBLEM_MAX, RUN_MAX = 500, 64
# Each of them is heard of every ten minutes.
TWIN_KNOWN_FOR = timedelta(minutes=30)
WHAT_COUNTS = (
    *("label", "slots", "labels", "cpus", "memory_mb", "sandboxes", "limits", "version", "problem"),
    "date_twin_heard",
)


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
    note_run(node, told)
    if told.steps is not None:
        node.date_started = clock.now()
        session.flush()
        if not has_twin(node):
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


def note_run(node: Node, told: Hello) -> None:
    """A run that goes on although another one began since is a second agent with the same key. Who of them
    speaks is known from here on, so that it ends when one of them does.
    """
    if told.run and told.steps is None and node.agent_run not in ("", told.run):
        node.date_twin_heard = clock.now()
    node.agent_run = told.run[:RUN_MAX]


def has_twin(node: Node) -> bool:
    """Lately: the home of its agent was copied. What one works on the other knows nothing of."""
    return node.date_twin_heard is not None and node.date_twin_heard > clock.now() - TWIN_KNOWN_FOR


def is_free(session: Session, node: Node, name: str) -> bool:
    """A name that another machine has stays with it; the agent is told what it is called instead."""
    others = select(Node.id).where(Node.label == name, Node.id != node.id)
    return session.execute(others).first() is None


def take_back_lost(session: Session, node: Node, steps: list[str], limits: ReplaceLimits) -> int:
    """What it was given and knows nothing of: it died before it had stored them, or lost its disk."""
    why = Reason(reasons.AGENT_RESTARTED, {"node": node.label})
    return machines.take_away(session, node, why, limits, but=steps)
