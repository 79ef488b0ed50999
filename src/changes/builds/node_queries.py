"""Machines as somebody looks for them. Bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.paging import Page, Part, part
from changes.builds.infra_failures import nodes_of_cluster
from changes.builds.models import Node
from changes.builds.queue_rules import NodeKind, NodeState


class Standing(StrEnum):
    """What is to be known first of a machine; the earlier word wins."""

    REVOKED = "revoked"
    DISABLED = "disabled"
    DRAINED = "drained"
    QUARANTINE = "in quarantine"
    AWAY = "away"
    TROUBLED = "in trouble"
    TRIAL = "on trial"
    ONLINE = "online"


@dataclass(frozen=True)
class NodeFilter:
    text: str = ""
    cluster: str = ""
    standing: Standing | None = None
    seen_within_days: int = 0


def standing(node: Node, silence_s: int) -> Standing:
    now = clock.now()
    heard_after = now - timedelta(seconds=silence_s)
    if node.is_revoked:
        return Standing.REVOKED
    if node.state != NodeState.ACTIVE:
        return Standing.DRAINED if node.state == NodeState.DRAINED else Standing.DISABLED
    if node.quarantined_until is not None and node.quarantined_until > now:
        return Standing.QUARANTINE
    if node.date_last_seen is None or node.date_last_seen < heard_after:
        return Standing.AWAY
    if node.problem:
        return Standing.TROUBLED
    return Standing.ONLINE if node.quarantined_until is None else Standing.TRIAL


def nodes(session: Session, page: Page, wanted: NodeFilter, silence_s: int) -> Part[Node]:
    """By name."""
    found = select(Node).where(*conditions(wanted), *standing_conditions(wanted.standing, silence_s))
    return part(session, found.order_by(Node.label), page)


def conditions(wanted: NodeFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.text:
        yield Node.label.icontains(wanted.text, autoescape=True)
    if wanted.cluster:
        yield Node.id.in_(nodes_of_cluster(wanted.cluster))
    if wanted.seen_within_days:
        yield Node.date_last_seen > clock.now() - timedelta(days=wanted.seen_within_days)


def standing_conditions(wanted: Standing | None, silence_s: int) -> Iterator[ColumnElement[bool]]:
    """The same words as `standing`, for many."""
    now = clock.now()
    is_heard = Node.date_last_seen.is_not(None) & (Node.date_last_seen >= now - timedelta(seconds=silence_s))
    in_quarantine = Node.quarantined_until.is_not(None) & (Node.quarantined_until > now)
    is_trusted = Node.quarantined_until.is_(None)
    if wanted is None:
        return
    is_revoked = Node.token_digest.is_(None) & (Node.kind != NodeKind.LAUNCHED)
    yield is_revoked if wanted == Standing.REVOKED else ~is_revoked
    if wanted == Standing.REVOKED:
        return
    states = {Standing.DRAINED: NodeState.DRAINED, Standing.DISABLED: NodeState.DISABLED}
    yield Node.state == states.get(wanted, NodeState.ACTIVE)
    if wanted == Standing.QUARANTINE:
        yield in_quarantine
    elif wanted == Standing.AWAY:
        yield ~is_heard & ~in_quarantine
    elif wanted == Standing.TROUBLED:
        yield is_heard & ~in_quarantine & (Node.problem != "")
    elif wanted == Standing.ONLINE:
        yield is_heard & is_trusted & (Node.problem == "")
    elif wanted == Standing.TRIAL:
        yield is_heard & ~is_trusted & ~in_quarantine & (Node.problem == "")
