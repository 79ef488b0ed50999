"""Nodes for what the original's programs speak of: a scheduler, and the hosts it starts agents on.

A scheduler does not say for which host it takes a step, so the scheduler itself holds it, until the
agent says where it is. Then the step moves there.
"""

from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from changes.base import bell, ids
from changes.base.errors import Invalid
from changes.base.task import NOW
from changes.builds.models import JobStep, Node
from changes.builds.original.models import OriginalKey, OriginalNode
from changes.builds.queue_rules import NodeKind

CLUSTER_MAX = 64
# A scheduler that invents clusters must not fill the list of nodes.
CLUSTERS_MAX = 100
HOSTS_MAX = 10_000
HOST_MAX = 128
SEEN = """
update node set date_last_seen = now() where id = %s
and (date_last_seen is null or date_last_seen < now() - interval '3 seconds')
"""


def of_scheduler(session: Session, key_id: UUID, cluster: str | None) -> UUID:
    """The node that stands for it; made at its first question."""
    if cluster is not None and not is_cluster(cluster):
        raise Invalid(
            f"A cluster has a name of at most {CLUSTER_MAX} printable characters without a comma.",
            ["cluster"],
        )
    known = find(session, key_id, cluster, None)
    if known is not None:
        return known.node_id
    # Two of its requests may be the first at the same moment.
    key = session.execute(select(OriginalKey).where(OriginalKey.id == key_id).with_for_update()).scalar_one()
    known = find(session, key_id, cluster, None)
    if known is not None:
        return known.node_id
    clusters = select(func.count()).where(OriginalNode.key_id == key_id, OriginalNode.host.is_(None))
    if session.execute(clusters).scalar_one() >= CLUSTERS_MAX:
        raise Invalid(f"This address speaks for {CLUSTERS_MAX} clusters already.", ["cluster"])
    name = key.name if cluster is None else f"{key.name}: {cluster}"
    node = add_node(session, key, name, NodeKind.SCHEDULER, cluster)
    session.add(OriginalNode(node_id=node.id, key_id=key_id, cluster=cluster))
    session.flush()
    return node.id


def is_cluster(name: str) -> bool:
    return 0 < len(name) <= CLUSTER_MAX and name.isprintable() and "," not in name


def find(session: Session, key_id: UUID, cluster: str | None, host: str | None) -> OriginalNode | None:
    mine = select(OriginalNode).where(
        OriginalNode.key_id == key_id,
        OriginalNode.cluster.is_not_distinct_from(cluster),
        OriginalNode.host.is_not_distinct_from(host),
    )
    return session.execute(mine).scalar_one_or_none()


def add_node(session: Session, key: OriginalKey, name: str, kind: NodeKind, cluster: str | None) -> Node:
    node = Node(
        id=ids.new(), label=free_name(session, name, key), kind=kind, slots=1, labels={}, version="original"
    )
    if cluster is not None:
        node.labels = {"cluster": cluster}
    if kind == NodeKind.SCHEDULER:
        # No digest of any key, so nobody can show it; one without any gets nothing.
        node.token_digest = f"original {node.id.hex}"
    session.add(node)
    session.flush()
    bell.tell(session, f"node:{node.id.hex}")
    return node


def free_name(session: Session, name: str, key: OriginalKey) -> str:
    """What an agent says of itself must not make it one of ours, or of another scheduler."""
    for candidate in (name, f"{name} ({key.name})"):
        taken = select(Node.id).where(Node.label == candidate)
        if session.execute(taken).first() is None:
            return candidate
    return f"{name} ({ids.new().hex})"


def move_to_host(session: Session, step: JobStep, told: str) -> None:
    """The step is locked; only once, and only from the scheduler that took it."""
    host = "".join(told.split())[:HOST_MAX]
    holder = session.get(OriginalNode, step.node_id) if step.node_id else None
    if holder is None or holder.host is not None or not host or not host.isprintable():
        return
    node_id = of_host(session, holder, host)
    if node_id is not None:
        note_seen(session, node_id)
        step.node_id = node_id
        session.flush()


def of_host(session: Session, holder: OriginalNode, host: str) -> UUID | None:
    """None where there are too many: then the step stays with its scheduler."""
    locked = select(OriginalKey).where(OriginalKey.id == holder.key_id).with_for_update()
    key = session.execute(locked).scalar_one()
    known = find(session, key.id, holder.cluster, host)
    if known is not None and known.node.kind == NodeKind.LAUNCHED:
        return known.node_id
    if known is not None:
        # An agent of ours has enrolled under that name since; it must not get steps it did not ask for.
        session.delete(known)
        session.flush()
    hosts = select(func.count()).where(OriginalNode.key_id == key.id, OriginalNode.host.is_not(None))
    if session.execute(hosts).scalar_one() >= HOSTS_MAX:
        return None
    node = add_node(session, key, host, NodeKind.LAUNCHED, holder.cluster)
    session.add(OriginalNode(node_id=node.id, key_id=key.id, cluster=holder.cluster, host=host))
    session.flush()
    return node.id


def note_seen(session: Session, node_id: UUID) -> None:
    """Not waited for: whoever holds that row may be waiting for the build that we hold."""
    mine = select(Node.id).where(Node.id == node_id).with_for_update(skip_locked=True)
    if session.execute(mine).scalar_one_or_none() is not None:
        session.execute(update(Node).where(Node.id == node_id).values(date_last_seen=NOW))


async def seen(connection: AsyncConnection[object], node_id: UUID) -> None:
    await connection.execute(SEEN, [node_id])
