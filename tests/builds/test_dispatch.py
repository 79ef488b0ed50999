import asyncio
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select, update
from tests import factories
from tests.builds import agents
from tests.plain_sql import asked

from changes.base.db import Database
from changes.builds import dispatch
from changes.builds.models import Build, Job, JobStep, Node
from changes.builds.rules import Priority, Status
from changes.projects.models import Revision
from changes.projects.rules import RepositoryBackend
from changes.protocol import Checkout, StepOffer

AT_ONCE = 8


def take(
    database: Database, node: Node, *, count: int = 10, clusters: tuple[str, ...] = ()
) -> list[StepOffer]:
    return asked(
        database,
        lambda connection: dispatch.take_steps(
            connection, node_id=node.id, clusters=list(clusters), count=count
        ),
    )


def in_cluster(database: Database, build_id: UUID, cluster: str) -> None:
    mine = select(Job.id).where(Job.build_id == build_id)
    with database.transaction() as session:
        session.execute(update(JobStep).where(JobStep.job_id.in_(mine)).values(cluster=cluster))


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


def test_urgent_steps_go_first_and_among_equals_the_oldest(database: Database) -> None:
    builds = [agents.a_committed_build(database) for _ in range(3)]
    with database.transaction() as session:
        urgent = select(Job.id).where(Job.build_id == builds[2])
        session.execute(update(JobStep).where(JobStep.job_id.in_(urgent)).values(priority=Priority.HIGH))
    node = agents.a_committed_node(database)

    one_by_one = [take(database, node, count=1)[0].build for _ in builds]

    assert one_by_one == [builds[2].hex, builds[0].hex, builds[1].hex]


def test_a_step_for_a_cluster_waits_for_a_node_of_it(database: Database) -> None:
    in_cluster(database, agents.a_committed_build(database), "big")
    node = agents.a_committed_node(database)

    assert take(database, node) == []
    assert take(database, node, clusters=("small",)) == []
    assert len(take(database, node, clusters=("small", "big"))) == 1


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


def test_many_agents_at_once_never_get_the_same_step(database: Database) -> None:
    for _ in range(5):
        agents.a_committed_build(database, plans=8)
    nodes = [agents.a_committed_node(database) for _ in range(AT_ONCE)]

    async def take_until_empty(node: Node) -> list[str]:
        taken: list[str] = []
        async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
            while offers := await dispatch.take_steps(connection, node_id=node.id, clusters=[], count=2):
                taken += [offer.id for offer in offers]
        return taken

    async def all_at_once() -> list[list[str]]:
        return list(await asyncio.gather(*(take_until_empty(node) for node in nodes)))

    taken = [step_id for mine in asyncio.run(all_at_once()) for step_id in mine]

    assert len(taken) == len(set(taken)) == 40
