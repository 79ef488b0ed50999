"""How the queue and the health of machines look as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from changes.base import clock
from changes.builds import agent_keys
from changes.builds.models import Node
from changes.builds.queue_look import LaneLine, ProjectUse
from changes.builds.queue_models import ConcurrencyGroup
from changes.builds.queue_queries import Cluster
from changes.builds.rules import Priority
from changes.builds.waiting import Explanation
from changes.builds.waiting_rules import Holder, Limit, Waiting
from changes.web import shapes

Json = dict[str, Any]


def explanation(each: Explanation) -> Json:
    waiting = each.waiting
    return {
        "step": {"id": each.step_id.hex},
        "block": waiting.block.value,
        "text": waiting.sentence,
        "missing": list(waiting.missing),
        "machines": list(waiting.machines),
        "needs": list(waiting.needs),
        "limit": limit(waiting.limit) if waiting.limit else None,
        "holders": [holder(each) for each in waiting.holders],
        "ahead": each.ahead,
        "estimate": None
        if each.estimate is None
        else {"startInSeconds": each.estimate.start_in_s, "plusMinusSeconds": each.estimate.plus_minus_s},
        "dateWaitingSince": shapes.when(each.since),
        "dateNotBefore": shapes.when(each.not_before),
    }


def limit(each: Limit) -> Json:
    return {
        "name": each.name,
        "limit": each.most,
        "held": each.held,
        "holders": [holder(one) for one in each.holders],
    }


def holder(each: Holder) -> Json:
    return {
        "build": {"id": each.build_id.hex, "number": each.number},
        "project": each.project,
        "steps": each.steps,
    }


def lane(each: LaneLine, why: Waiting) -> Json:
    return {
        "id": each.seen.id.hex,
        "project": each.project,
        "author": each.author,
        "priority": each.priority.name.lower(),
        "automatic": each.is_automatic,
        "cluster": each.needs.cluster,
        "labels": each.needs.labels,
        "cpus": each.needs.cpus,
        "memory": each.needs.memory_mb,
        "group": each.group,
        "waiting": each.seen.waiting,
        "typicalSeconds": each.seen.typical_s,
        "oldestAgeSeconds": age_s(each.since),
        "step": {"id": each.head.hex},
        "block": why.block.value,
        "text": why.sentence,
    }


def project_use(each: ProjectUse) -> Json:
    return {"project": each.slug, "held": each.held, "limit": each.most}


def priority(each: Priority, waiting: int, oldest: datetime) -> Json:
    return {"priority": each.name.lower(), "waiting": waiting, "oldestAgeSeconds": age_s(oldest)}


def age_s(moment: datetime) -> int:
    return max(0, round((clock.now() - moment).total_seconds()))


def group(each: Limit) -> Json:
    return {"name": each.name, "limit": each.most, "held": each.held}


def held_group(each: ConcurrencyGroup, held: int) -> Json:
    return {"name": each.name, "limit": each.limit, "held": held}


def node(each: Node, held: dict[UUID, int], lost: dict[UUID, int], silence_s: int) -> Json:
    """With its state and its health, beside what the original said of it."""
    now = clock.now()
    is_live = each.date_last_seen is not None and (now - each.date_last_seen).total_seconds() <= silence_s
    in_quarantine = each.quarantined_until is not None
    return {
        **shapes.node(each),
        "cpus": each.cpus or None,
        "memory": each.memory_mb or None,
        "state": each.state.name.lower(),
        "stateReason": each.state_reason or None,
        "isLive": is_live and not each.is_revoked,
        "isRevoked": each.is_revoked,
        "key": {
            "dateMade": shapes.when(each.date_token),
            "isToBeReplaced": agent_keys.is_due(each) or each.next_token_digest is not None,
        }
        if each.token_digest is not None
        else None,
        "protocol": each.protocol or None,
        "sandboxes": each.sandboxes,
        "limits": each.limits,
        "problem": each.problem or None,
        "dateStarted": shapes.when(each.date_started),
        "running": held.get(each.id, 0),
        "infraFailures": lost.get(each.id, 0),
        "quarantine": {
            "dateUntil": shapes.when(each.quarantined_until),
            "isOnTrial": each.quarantined_until is not None and each.quarantined_until <= now,
            "times": each.quarantines,
        }
        if in_quarantine
        else None,
    }


def cluster(each: Cluster) -> Json:
    return {
        "id": each.id.hex,
        "name": each.name,
        "dateCreated": shapes.when(each.date_created),
        "numNodes": len(each.nodes),
    }
