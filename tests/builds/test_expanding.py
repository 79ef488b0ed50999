"""A long list that a collecting step named: the report is answered, and a worker makes the steps."""

import json
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.base import db, jobs
from changes.base.db import Database
from changes.base.task import Task
from changes.builds import cancel, expanding, waiting
from changes.builds.models import Build, Expansion, JobStep
from changes.builds.rules import Result, Status
from changes.results import collect

COUNT = expanding.COMMANDS_AT_ONCE + 1
LONG = json.dumps({"commands": [f"make {n}" for n in range(COUNT)]})


@pytest.fixture
def build_id(database: Database) -> UUID:
    """Of a build whose collecting step named very many commands."""
    db.database.set(database)
    with database.transaction() as session:
        build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
        collecting.collect(session, build, LONG)
        return build.id


def named(session: Session, build_id: UUID) -> list[JobStep]:
    build = session.get_one(Build, build_id)
    return collecting.steps_in(session, factories.phases_of(session, build)[1])


def collector_of(session: Session, build_id: UUID) -> JobStep:
    return factories.steps_of(session, session.get_one(Build, build_id))[0]


def test_the_report_makes_no_steps_and_asks_a_worker_for_them(database: Database, build_id: UUID) -> None:
    with database.transaction() as session:
        collector = collector_of(session, build_id)
        task = session.execute(select(Task).where(Task.child_id == collector.id)).scalar_one()

        assert agents.state(collector) == (Status.COLLECTING_RESULTS, Result.PASSED)
        assert named(session, build_id) == []
        assert task.name == jobs.name_of(expanding.make_named_steps)


def test_meanwhile_whoever_asks_is_told_what_it_waits_for(database: Database, build_id: UUID) -> None:
    with database.transaction() as session:
        build = session.get_one(Build, build_id)

        said = waiting.sentence(session, build, silence_s=60)

    assert said == f"The steps of the {COUNT} commands or names that were collected are being made."


def test_a_worker_makes_them_once_and_lets_the_step_end(database: Database, build_id: UUID) -> None:
    with database.transaction() as session:
        step_id = collector_of(session, build_id).id

    for _ in range(2):
        expanding.make_named_steps(step_id)

    with database.transaction() as session:
        steps = named(session, build_id)
        assert len(steps) == COUNT
        assert {step.status for step in steps} == {Status.PENDING_ALLOCATION}
        assert agents.state(collector_of(session, build_id)) == (Status.FINISHED, Result.PASSED)
        assert session.query(Expansion).count() == 0


def test_what_was_cancelled_meanwhile_gets_no_steps(database: Database, build_id: UUID) -> None:
    with database.transaction() as session:
        cancel.cancel_build(session, session.get_one(Build, build_id))
        step_id = collector_of(session, build_id).id

    expanding.make_named_steps(step_id)

    with database.transaction() as session:
        assert named(session, build_id) == []
        assert session.query(Expansion).count() == 0


def a_build_with_a_report(database: Database, report: bytes) -> tuple[UUID, UUID]:
    db.database.set(database)
    with database.transaction() as session:
        build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
        (step,) = collecting.take(session, build)
        agents.leave_behind(session, step, report)
        agents.tell(session, step, collecting.printed(session, step, LONG))
        return build.id, step.id


@pytest.mark.parametrize("order", [["read", "make"], ["make", "read"]])
def test_a_step_that_left_reports_too_ends_when_both_are_done(database: Database, order: list[str]) -> None:
    build_id, step_id = a_build_with_a_report(database, agents.JUNIT)
    does = {"read": collect.collect_step, "make": expanding.make_named_steps}

    does[order[0]](step_id)
    with database.transaction() as session:
        assert collector_of(session, build_id).status == Status.COLLECTING_RESULTS
    does[order[1]](step_id)

    with database.transaction() as session:
        assert agents.state(collector_of(session, build_id)) == (Status.FINISHED, Result.PASSED)
        assert {step.status for step in named(session, build_id)} == {Status.PENDING_ALLOCATION}


def test_a_step_whose_reports_say_it_failed_names_nothing(database: Database) -> None:
    build_id, step_id = a_build_with_a_report(database, agents.JUNIT_FAILED)

    collect.collect_step(step_id)
    expanding.make_named_steps(step_id)

    with database.transaction() as session:
        assert agents.state(collector_of(session, build_id)) == (Status.FINISHED, Result.FAILED)
        assert named(session, build_id) == []


def test_a_list_that_makes_no_sense_is_refused_at_once(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
    commands = [*(f"make {n}" for n in range(400)), 5]

    step = collecting.collect(session, build, json.dumps({"commands": commands}))

    assert agents.state(step) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["malformed_artifact"]
