"""Machines as somebody looks for them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests.builds import queues

from changes.base import clock
from changes.base.paging import Page
from changes.builds import node_queries
from changes.builds.node_queries import NodeFilter, Standing
from changes.builds.queue_rules import NodeState

LONG_AGO = timedelta(hours=1)
STANDINGS: list[tuple[Standing, dict[str, Any]]] = [
    (Standing.ONLINE, {}),
    (Standing.REVOKED, {"token_digest": None, "state": NodeState.DRAINED}),
    (Standing.DRAINED, {"state": NodeState.DRAINED, "problem": "disk"}),
    (Standing.DISABLED, {"state": NodeState.DISABLED}),
    (Standing.QUARANTINE, {"quarantined_until": +LONG_AGO}),
    (Standing.TRIAL, {"quarantined_until": -LONG_AGO}),
    (Standing.AWAY, {"date_last_seen": -LONG_AGO, "problem": "disk"}),
    (Standing.AWAY, {"date_last_seen": None}),
    (Standing.TROUBLED, {"problem": "disk"}),
]


def names(session: Session, wanted: NodeFilter) -> list[str]:
    return [node.label for node in node_queries.nodes(session, Page(), wanted, 60).rows]


def moment(value: Any) -> Any:
    return clock.now() + value if isinstance(value, timedelta) else value


@pytest.mark.parametrize(("standing", "has"), STANDINGS)
def test_a_machine_is_found_by_the_word_that_is_said_of_it(
    session: Session, standing: Standing, has: dict[str, Any]
) -> None:
    node = queues.a_node(session, **{name: moment(value) for name, value in has.items()})

    assert node_queries.standing(node, 60) == standing
    found = [each for each in Standing if node.label in names(session, NodeFilter(standing=each))]
    assert found == [standing]


def test_machines_are_listed_by_name(session: Session) -> None:
    queues.a_node(session, label="b")
    queues.a_node(session, label="a")

    assert names(session, NodeFilter()) == ["a", "b"]


def test_machines_are_found_by_name_and_cluster(session: Session) -> None:
    queues.a_node(session, label="forge-1", labels={"cluster": "linux,gpu"})
    queues.a_node(session, label="forge_2", labels={"cluster": "linux"})

    assert names(session, NodeFilter(text="FORGE-")) == ["forge-1"]
    assert names(session, NodeFilter(cluster="gpu")) == ["forge-1"]
    assert names(session, NodeFilter(cluster="linu")) == []


def test_machines_that_were_not_seen_for_days_are_left_out(session: Session) -> None:
    queues.a_node(session, label="old", date_last_seen=clock.now() - timedelta(days=9))
    queues.a_node(session, label="new")

    assert names(session, NodeFilter(seen_within_days=7)) == ["new"]
