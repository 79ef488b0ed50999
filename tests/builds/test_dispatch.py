import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from sqlalchemy import update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues
from tests.plain_sql import asked

from changes.base.db import Database
from changes.builds import dispatch
from changes.builds.models import Build, JobStep, Node
from changes.builds.rules import Priority, Status
from changes.projects.models import Revision
from changes.projects.rules import RepositoryBackend
from changes.protocol import Checkout, StepOffer

AT_ONCE = 8


def take(database: Database, node: Node, *, count: int = 10) -> list[StepOffer]:
    return [each.offer for each in queues.take(database, node, count=count)]


def test_a_waiting_step_is_given_out_with_all_it_takes_to_run_it(database: Database) -> None:
    with database.transaction() as session:
        project = factories.a_project(session, slug="frob")
        build = factories.a_build(session, project, commands=["one", "two"])
        (step,) = factories.steps_of(session, build)
        node = factories.a_node(session)

    (offer,) = take(database, node)

    assert (offer.id, offer.build, offer.project) == (step.id.hex, build.id.hex, "frob")
    assert [command.script for command in offer.commands] == ["one", "two"]
    assert offer.timeout_s == 3600
    assert offer.checkout == Checkout(backend="git", url=project.repository.url, sha=factories.A_SHA)
    assert offer.env["CHANGES_BUILD_NUMBER"] == "1"


def test_a_step_given_out_belongs_to_its_node_from_now_on(database: Database) -> None:
    agents.a_committed_build(database)
    node = agents.a_committed_node(database)

    (offer,) = take(database, node)

    with database.transaction() as session:
        step = session.get_one(JobStep, UUID(offer.id))
    assert (step.status, step.node_id) == (Status.ALLOCATED, node.id)
    assert step.last_heartbeat is not None


def test_nobody_gets_more_than_it_asks_for(database: Database) -> None:
    agents.a_committed_build(database, plans=3)
    node = agents.a_committed_node(database)

    assert [len(take(database, node, count=2)) for _ in range(3)] == [2, 1, 0]


def test_urgent_steps_go_first_and_among_equals_the_oldest(session: Session) -> None:
    project = queues.a_project(session, "p")
    builds = [queues.ask_for(session, project) for _ in range(3)]
    queues.change(session, builds[2], priority=Priority.HIGH)
    node = queues.a_node(session)

    for build in (builds[2], builds[0], builds[1]):
        queues.hand_out(session, node)

        assert factories.steps_of(session, build)[0].node_id == node.id


def test_a_step_for_a_cluster_waits_for_a_node_of_it(session: Session) -> None:
    queues.a_queue(session, "p", cluster="big")
    nowhere, small, both = (
        queues.a_node(session, labels={"cluster": names}) for names in ("", "small", "small,big")
    )

    assert queues.hand_out(session, nowhere) == queues.hand_out(session, small) == []
    assert queues.hand_out(session, both) == ["p"]


def test_only_the_first_phase_is_given_out(database: Database) -> None:
    with database.transaction() as session:
        project = factories.a_project(session)
        factories.a_plan(session, project, {"commands": ["a"]}, {"commands": ["b"]})
        factories.a_build(session, project, plans=0)
    node = agents.a_committed_node(database)

    assert [offer.commands[0].script for offer in take(database, node)] == ["a"]


def test_a_patched_source_says_so(database: Database) -> None:
    with database.transaction() as session:
        build = factories.a_build(session)
        build.source = factories.a_source(session, build.project, patch=b"diff")
        node = factories.a_node(session)

    (offer,) = take(database, node)

    assert offer.checkout is not None
    assert offer.checkout.has_patch


def test_a_project_without_version_control_needs_no_checkout(database: Database) -> None:
    with database.transaction() as session:
        repository = factories.a_repository(session, backend=RepositoryBackend.UNKNOWN)
        factories.a_build(session, factories.a_project(session, repository=repository))
        node = factories.a_node(session)

    assert take(database, node)[0].checkout is None


def test_commands_hear_of_their_branch_if_there_is_one(database: Database) -> None:
    builds = [agents.a_committed_build(database) for _ in range(2)]
    with database.transaction() as session:
        source = session.get_one(Build, builds[0]).source
        mine = Revision.repository_id == source.repository_id
        session.execute(update(Revision).where(mine).values(branches=["main", "next"]))
    node = agents.a_committed_node(database)

    assert [offer.env["CHANGES_BRANCH"] for offer in take(database, node)] == ["main", ""]


@pytest.mark.parametrize("are_alone", [False, True], ids=["together", "each alone in its process"])
def test_many_agents_at_once_never_get_the_same_step(database: Database, *, are_alone: bool) -> None:
    for _ in range(5):
        agents.a_committed_build(database, plans=8)
    nodes = [agents.a_committed_node(database) for _ in range(AT_ONCE)]

    async def take_until_empty(node: Node) -> list[str]:
        taken: list[str] = []
        async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
            while mine := await dispatch.take_steps(
                connection, node_id=node.id, count=2, silence_s=60, is_alone=are_alone
            ):
                taken += [each.offer.id for each in mine]
        return taken

    async def all_at_once() -> list[list[str]]:
        return list(await asyncio.gather(*(take_until_empty(node) for node in nodes)))

    taken = [step_id for mine in asyncio.run(all_at_once()) for step_id in mine]

    assert len(taken) == len(set(taken)) == 40


def test_who_only_looks_changes_nothing_and_the_next_on_his_connection_is_served(database: Database) -> None:
    for _ in range(2):
        agents.a_committed_build(database)
    node = agents.a_committed_node(database)

    async def look_and_take(connection: AsyncConnection[Any]) -> list[int]:
        seen = []
        for _ in range(2):
            looked = await dispatch.consider(connection, dispatch.TAKE, dispatch.values(node.id, 2))
            taken = await dispatch.take_steps(connection, node_id=node.id, count=1, silence_s=60)
            seen += [len(looked), len(taken)]
        return seen

    assert asked(database, look_and_take) == [2, 1, 1, 1]
