"""What losses have in common: one broken machine, or something that all machines share. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from changes.builds import reasons
from changes.builds.infra_failures import Group

# Fewer losses may be chance.
LOSSES_LEAST = 5
# A part of all losses from which on one machine, or one reason, stands for them.
MOST_OF_THEM = 0.75
MACHINES_LEAST = 3


@dataclass(frozen=True)
class Suspect:
    text: str
    href: str


def suspect_in(groups: Sequence[Group]) -> Suspect | None:
    """That somebody stops an agent, to give it a new version, is nobody's fault."""
    groups = [group for group in groups if group.reason not in reasons.INNOCENT]
    total = sum(group.count for group in groups)
    if total < LOSSES_LEAST:
        return None
    return machine_in(groups, total) or shared_reason_in(groups, total)


def machine_in(groups: Sequence[Group], total: int) -> Suspect | None:
    by_node: Counter[tuple[str, str]] = Counter()
    for group in groups:
        if group.node is not None:
            by_node[group.node.id.hex, group.node.label] += group.count
    for (node_id, name), count in by_node.most_common(1):
        if count >= MOST_OF_THEM * total:
            text = f"{name} lost {count} of {total}: drain it until somebody has looked after it."
            return Suspect(text, f"/nodes/{node_id}/")
    return None


def shared_reason_in(groups: Sequence[Group], total: int) -> Suspect | None:
    by_reason: Counter[str] = Counter()
    machines: dict[str, set[str]] = {}
    for group in groups:
        by_reason[group.words] += group.count
        if group.node is not None:
            machines.setdefault(group.words, set()).add(group.node.id.hex)
    for words, count in by_reason.most_common(1):
        many = len(machines.get(words, ()))
        if count >= MOST_OF_THEM * total and many >= MACHINES_LEAST:
            text = f"{many} machines lost {count} of {total} for one reason ({words}):"
            return Suspect(f"{text} look at what they share, as the network or this server.", "/nodes/")
    return None
