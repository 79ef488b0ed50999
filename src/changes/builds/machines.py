"""What an operator says of a machine: drain it, put it out of use, let it work again."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.task import NOW
from changes.builds import agent_keys, health, reasons, retry, settle, telling
from changes.builds.models import JobStep, Node
from changes.builds.queue_rules import NodeState
from changes.builds.reasons import Reason
from changes.builds.rules import HELD, ReplaceLimits

REASON_MAX = 500


def drain(session: Session, node: Node, why: str) -> None:
    """It ends what it has and gets nothing new."""
    put(session, node, NodeState.DRAINED, why)


def disable(session: Session, node: Node, why: str, limits: ReplaceLimits) -> int:
    """It gets nothing new, and what it works on is stopped and done elsewhere; returns how many steps."""
    put(session, node, NodeState.DISABLED, why)
    return take_away(session, node, Reason(reasons.AGENT_STOPPED, {"node": node.label}), limits)


def revoke(session: Session, node: Node, limits: ReplaceLimits) -> int:
    """Its agent is not known any more; what it works on is done elsewhere; returns how many steps."""
    agent_keys.revoke(session, node)
    return take_away(session, node, Reason(reasons.AGENT_STOPPED, {"node": node.label}), limits)


def take_away(
    session: Session, node: Node, why: Reason, limits: ReplaceLimits, *, but: Collection[str] = ()
) -> int:
    """Whatever it holds, except the steps of these ids."""
    held = select(JobStep.id).where(JobStep.node_id == node.id, JobStep.status.in_(HELD))
    taken = 0
    for step_id in session.execute(held.order_by(JobStep.id)).scalars().all():
        if step_id.hex in but:
            continue
        step = settle.lock_step(session, step_id)
        if step is not None and step.status in HELD and step.node_id == node.id:
            retry.replace_lost_step(session, step, why, limits)
            taken += 1
    if taken:
        telling.tell_to_stop(session, node.id)
    return taken


def enable(session: Session, node: Node) -> None:
    """It works again, and whatever put it into quarantine is forgiven."""
    node.quarantined_until, node.quarantines = None, 0
    node.date_trusted = session.execute(select(NOW)).scalar_one()
    put(session, node, NodeState.ACTIVE, "")


def put(session: Session, node: Node, state: NodeState, why: str) -> None:
    node.state, node.state_reason = state, why[:REASON_MAX]
    session.flush()
    health.tell(session, node.id)
