"""Several processes at once, as threads with connections of their own and real commits."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues

from changes.base import clock, ids
from changes.base.db import Database
from changes.builds import again, cancel, create, lanes, locks, nodes
from changes.builds.create import NewBuild
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.projects.models import Project, Source
from changes.protocol import StepReport

Done = TypeVar("Done")
ROUNDS = 5
RELEASED = StepReport(status="released")


def at_once(acts: Sequence[Callable[[], Done]]) -> list[Done]:
    """All begin together; an error of one is an error of the test."""
    gate = threading.Barrier(len(acts), timeout=agents.DEADLINE_S)

    def run(act: Callable[[], Done]) -> Done:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return [each.result(agents.DEADLINE_S) for each in [threads.submit(run, act) for act in acts]]


def in_transaction(database: Database, act: Callable[[Session], Done]) -> Callable[[], Done]:
    def run() -> Done:
        with database.transaction() as session:
            return act(session)

    return run


def a_running_build(database: Database, *, plans: int) -> tuple[UUID, list[UUID]]:
    with database.transaction() as session:
        build = factories.a_build(session, plans=plans)
        steps = factories.steps_of(session, build)
        for step in steps:
            agents.begin(session, factories.give_to(session, step, factories.a_node(session)))
        return build.id, [step.id for step in steps]


def ending(step_id: UUID, code: int = 0) -> Callable[[Session], bool]:
    return lambda session: agents.end(session, session.get_one(JobStep, step_id), code=code)


def test_a_build_whose_last_steps_end_at_once_is_announced_once(database: Database) -> None:
    for _ in range(ROUNDS):
        build_id, step_ids = a_running_build(database, plans=3)

        at_once([in_transaction(database, ending(step_id)) for step_id in step_ids])

        with database.transaction() as session:
            assert agents.announced(session, build_id) == 1
            assert agents.state(session.get_one(Build, build_id)) == (Status.FINISHED, Result.PASSED)


def test_the_same_report_twice_at_once_is_applied_once(database: Database) -> None:
    for _ in range(ROUNDS):
        build_id, (step_id,) = a_running_build(database, plans=1)

        def release(session: Session, step_id: UUID = step_id) -> bool:
            return agents.tell(session, session.get_one(JobStep, step_id), RELEASED)

        assert at_once([in_transaction(database, release)] * 2) == [True, True]
        with database.transaction() as session:
            attempts = factories.steps_of(session, session.get_one(Build, build_id))
            assert [step.attempt for step in attempts] == [1, 2]


def test_builds_of_one_project_asked_for_at_once_get_numbers_of_their_own(database: Database) -> None:
    with database.transaction() as session:
        project = factories.a_project(session)
        source_id = factories.a_source(session, project, config="plans: [{name: a, commands: [b]}]").id

    def build(session: Session) -> int:
        asked = NewBuild(
            session.get_one(Source, source_id), ids.new(), label="b", target="", message="", author=None
        )
        return create.create_build(session, session.get_one(Project, project.id), asked).number

    numbers = at_once([in_transaction(database, build)] * 4)

    assert sorted(numbers) == [1, 2, 3, 4]


def test_a_cancel_and_the_last_report_at_once_leave_one_verdict(database: Database) -> None:
    for _ in range(ROUNDS):
        build_id, (step_id,) = a_running_build(database, plans=1)

        def stop(session: Session, build_id: UUID = build_id) -> bool:
            return cancel.cancel_build(session, session.get_one(Build, build_id))

        cancelled, reported = at_once(
            [in_transaction(database, stop), in_transaction(database, ending(step_id))]
        )

        with database.transaction() as session:
            build = session.get_one(Build, build_id)
            assert cancelled != reported
            assert build.result == (Result.ABORTED if cancelled else Result.PASSED)
            assert agents.state(session.get_one(JobStep, step_id)) == agents.state(build)
            assert agents.announced(session, build_id) == 1


def test_cancel_reports_and_heartbeats_at_once_never_wait_in_a_circle(database: Database) -> None:
    """A circle would end one of them with an error after a second."""
    for _ in range(ROUNDS):
        build_id, step_ids = a_running_build(database, plans=3)

        def beat(step_ids: list[UUID] = step_ids) -> None:
            asyncio.run(heartbeats(database, step_ids))

        def stop(session: Session, build_id: UUID = build_id) -> None:
            cancel.cancel_build(session, session.get_one(Build, build_id))

        reports: list[Callable[[], object]] = [
            in_transaction(database, ending(step_id, code=1)) for step_id in step_ids
        ]
        at_once([beat, in_transaction(database, stop), *reports, beat])

        with database.transaction() as session:
            assert session.get_one(Build, build_id).is_finished


async def heartbeats(database: Database, step_ids: list[UUID]) -> None:
    async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
        rows = await connection.execute("select node_id from job_step where id = any(%s)", [step_ids])
        for (node_id,) in await rows.fetchall():
            await nodes.heard(connection, node_id, step_ids)


def test_steps_that_several_find_at_once_enter_the_queue_once(database: Database) -> None:
    """Two that change the same rows, each in an order of its own, would wait in a circle."""
    for _ in range(ROUNDS):
        with database.transaction() as session:
            project = queues.a_queue(session, f"p-{ids.new().hex}", 60)
            session.execute(update(JobStep).where(JobStep.project_id == project.id).values(lane_id=None))

        entered = at_once([in_transaction(database, lanes.enter)] * 3)

        assert sum(entered) == 60


def a_build_that_pauses(database: Database) -> UUID:
    """Its step waits in no lane, and the time of it has come."""
    with database.transaction() as session:
        build = factories.a_build(session)
        past = clock.now() - timedelta(seconds=5)
        values = {"lane_id": None, "not_before": past}
        session.execute(update(JobStep).where(JobStep.project_id == build.project_id).values(values))
        return build.id


def test_whoever_enters_steps_of_its_own_waits_for_no_steps_of_others(database: Database) -> None:
    """It took those with it whose time had come, and then asked for their build, which had asked for them."""
    paused_id = a_build_that_pauses(database)
    has_entered, is_locked = threading.Event(), threading.Event()

    def make_another(session: Session) -> None:
        is_locked.wait(agents.DEADLINE_S)
        factories.a_build(session)
        has_entered.set()
        locks.lock_build(session, paused_id)

    def cancel_it(session: Session) -> None:
        locks.lock_build(session, paused_id)
        is_locked.set()
        has_entered.wait(agents.DEADLINE_S)
        cancel.cancel_build(session, session.get_one(Build, paused_id))

    at_once([in_transaction(database, make_another), in_transaction(database, cancel_it)])

    with database.transaction() as session:
        assert session.get_one(Build, paused_id).is_finished


def test_pauses_that_end_while_builds_are_made_ended_and_done_again_are_no_circle(database: Database) -> None:
    """All that enters steps, at once, over builds that need the same lanes and others."""
    paused = [a_build_that_pauses(database) for _ in range(3)]
    with database.transaction() as session:
        project_id = factories.a_build(session, plans=2).project_id

    def ask_again(session: Session) -> None:
        factories.a_build(session, session.get_one(Project, project_id), plans=0)

    def end_and_repeat(build_id: UUID) -> Callable[[Session], None]:
        def act(session: Session) -> None:
            build = session.get_one(Build, build_id)
            cancel.cancel_build(session, build)
            again.repeat_failed(session, build)
            cancel.cancel_build(session, build)

        return act

    for _ in range(ROUNDS):
        acts: list[Callable[[Session], object]] = [lanes.enter_due, ask_again, lanes.enter_due]
        at_once([in_transaction(database, act) for act in (*acts, *map(end_and_repeat, paused))])

    with database.transaction() as session:
        assert all(session.get_one(Build, build_id).is_finished for build_id in paused)
        waiting = select(JobStep).where(JobStep.status == Status.PENDING_ALLOCATION)
        assert session.execute(waiting.where(JobStep.lane_id.is_(None))).first() is None
