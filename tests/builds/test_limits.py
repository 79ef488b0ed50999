"""Limits of projects and groups, and what machines have room for: never exceeded, read anew each time."""

import asyncio

import pytest
from psycopg import AsyncConnection
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues

from changes.base.db import Database
from changes.base.errors import Invalid, NotFound
from changes.builds import dispatch, groups
from changes.builds.models import JobStep, Node

AT_ONCE, LIMIT = 5, 3


def test_a_project_runs_no_more_steps_than_its_limit(session: Session) -> None:
    queues.a_queue(session, "p", 5, options={"queue.limit": "2"})
    node = queues.a_node(session)

    assert queues.hand_out(session, node, 10) == ["p", "p"]
    assert queues.hand_out(session, node, 10) == []


def test_steps_that_wait_for_a_limit_go_when_one_of_it_ends(session: Session) -> None:
    queues.a_queue(session, "p", 3, options={"queue.limit": "1"})
    node = queues.a_node(session)
    queues.hand_out(session, node, 10)

    queues.end_all(session)

    assert queues.hand_out(session, node, 10) == ["p"]


def test_a_limit_that_is_changed_holds_at_once(session: Session) -> None:
    project = queues.a_queue(session, "p", 9, options={"queue.limit": "1"})
    node = queues.a_node(session)
    queues.hand_out(session, node, 10)

    queues.set_option(session, project, "queue.limit", "3")
    more = queues.hand_out(session, node, 10)
    queues.set_option(session, project, "queue.limit", "0")

    assert more == ["p", "p"]
    assert queues.hand_out(session, node, 10) == []


def test_a_limit_of_one_project_holds_up_no_other(session: Session) -> None:
    queues.a_queue(session, "limited", 5, options={"queue.limit": "1"})
    queues.a_queue(session, "free", 5)
    node = queues.a_node(session)

    assert sorted(queues.hand_out(session, node, 4)) == ["free", "free", "free", "limited"]


def in_group(session: Session, name: str, *projects: str) -> None:
    for slug in projects:
        project = queues.a_project(session, slug)
        queues.change(session, queues.ask_for(session, project), data={"concurrency_group": name})


def test_a_group_limits_steps_of_all_projects_that_name_it(session: Session) -> None:
    in_group(session, "staging", "a", "b", "c")
    groups.set_limit(session, "staging", 2)
    node = queues.a_node(session)

    assert len(queues.hand_out(session, node, 10)) == 2
    groups.set_limit(session, "staging", 3)
    assert len(queues.hand_out(session, node, 10)) == 1


def test_a_group_without_a_limit_limits_nothing(session: Session) -> None:
    in_group(session, "staging", "a", "b")
    groups.set_limit(session, "staging", 1)

    groups.remove(session, "staging")

    assert len(queues.hand_out(session, queues.a_node(session), 10)) == 2


@pytest.mark.parametrize(("name", "limit"), [("", 1), ("n" * 129, 1), ("n", -1), ("n", 10_001)])
def test_a_limit_has_a_name_and_a_reasonable_number(session: Session, name: str, limit: int) -> None:
    with pytest.raises(Invalid):
        groups.set_limit(session, name, limit)


def test_only_a_limit_that_is_there_can_be_lifted(session: Session) -> None:
    with pytest.raises(NotFound):
        groups.remove(session, "nothing")


def test_a_step_waits_for_a_machine_with_all_of_its_labels(session: Session) -> None:
    queues.a_queue(session, "p", labels={"os": "debian", "gpu": "1"})
    plain, other, both = (
        queues.a_node(session, labels=labels)
        for labels in ({"os": "debian"}, {"os": "debian", "gpu": "2"}, {"os": "debian", "gpu": "1", "x": "y"})
    )

    assert queues.hand_out(session, plain) == queues.hand_out(session, other) == []
    assert queues.hand_out(session, both) == ["p"]


def test_steps_share_the_cpus_and_the_memory_of_a_machine(session: Session) -> None:
    queues.a_queue(session, "cpus", 5, cpus=3)
    queues.a_queue(session, "memory", 5, memory=3000)
    node = queues.a_node(session, cpus=8, memory_mb=8000)

    first = queues.hand_out(session, node, 10)
    second = queues.hand_out(session, node, 10)

    assert sorted(first + second) == ["cpus", "cpus", "memory", "memory"]


def test_a_machine_that_never_told_its_size_takes_steps_of_any(session: Session) -> None:
    queues.a_queue(session, "p", 3, cpus=64, memory=10**6)

    assert queues.hand_out(session, queues.a_node(session), 2) == ["p", "p"]


def test_a_large_step_that_waits_for_long_gets_a_machine_to_itself(session: Session) -> None:
    large = queues.a_queue(session, "large", cpus=4)
    queues.grow_old(session, large, 100)
    queues.a_queue(session, "small", 9, cpus=1)
    queues.change(session, queues.ask_for(session, queues.a_project(session, "held")), data={"cpus": 1})
    first, second = (queues.a_node(session, cpus=4) for _ in range(2))
    for node in (first, second):
        occupy(session, node)

    assert queues.hand_out(session, first, 10) == []
    assert len(queues.hand_out(session, second, 10)) == 3
    queues.end_all(session)
    assert queues.hand_out(session, first, 1) == ["large"]
    assert len(queues.hand_out(session, first, 10)) == 0
    assert len(queues.hand_out(session, second, 1)) == 1


def occupy(session: Session, node: Node) -> None:
    """One of its cpus is at work."""
    project = queues.a_queue(session, f"work on {node.label}", cpus=1)
    step = session.query(JobStep).filter_by(project_id=project.id).one()
    factories.give_to(session, step, node)


def test_limits_hold_when_many_agents_ask_at_once(database: Database) -> None:
    with database.transaction() as session:
        queues.a_queue(session, "a", 12, options={"queue.limit": str(LIMIT)})
        in_group(session, "g", "b", "c", "d", "e")
        groups.set_limit(session, "g", 2)
        nodes = [queues.a_node(session) for _ in range(AT_ONCE)]

    async def ask(node: Node) -> list[str]:
        async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
            taken = [
                await dispatch.take_steps(connection, node_id=node.id, count=2, silence_s=60)
                for _ in range(3)
            ]
        return [each.offer.project for some in taken for each in some]

    async def all_at_once() -> list[list[str]]:
        return list(await asyncio.gather(*(ask(node) for node in nodes)))

    got = [slug for mine in asyncio.run(all_at_once()) for slug in mine]

    assert got.count("a") == LIMIT
    assert len(got) == LIMIT + 2
