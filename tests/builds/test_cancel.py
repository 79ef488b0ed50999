from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues

from changes.base import db
from changes.base.db import Database
from changes.builds import again, cancel, reasons, report
from changes.builds.models import Build, FailureReason
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, Status
from changes.results import collect, testruns


def test_cancelling_drops_what_waits_and_stops_what_runs(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    running = agents.a_taken_step(session, build)
    agents.begin(session, running)

    assert cancel.cancel_build(session, build)

    steps = factories.steps_of(session, build)
    assert [agents.state(step) for step in steps] == [(Status.FINISHED, Result.ABORTED)] * 2
    assert agents.state(build) == (Status.FINISHED, Result.ABORTED)
    assert all(step.date_finished is not None for step in steps)


def test_a_job_that_ended_before_keeps_its_result(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    agents.end(session, agents.a_taken_step(session, build))

    cancel.cancel_build(session, build)

    assert [job.result for job in agents.jobs_of(session, build)] == [Result.PASSED, Result.ABORTED]
    assert build.result == Result.ABORTED


def told(session: Session, build: Build) -> list[str]:
    mine = select(FailureReason).where(FailureReason.build_id == build.id).order_by(FailureReason.id)
    return [reasons.sentence(each.reason, each.data) for each in session.execute(mine).scalars()]


def test_who_cancelled_what_is_said(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    job, _ = agents.jobs_of(session, build)

    cancel.cancel_job(session, job.id, by="olga@example.com")
    cancel.cancel_build(session, build, by="zoe@example.com")

    assert told(session, build) == [
        f"olga@example.com cancelled the job {job.label}.",
        "zoe@example.com cancelled the build.",
    ]


def test_of_what_goes_on_again_nobody_says_that_it_was_cancelled(session: Session) -> None:
    build = factories.a_build(session)
    cancel.cancel_build(session, build)

    again.repeat_failed(session, build)

    assert told(session, build) == []


def test_a_finished_build_cannot_be_cancelled(session: Session) -> None:
    build = factories.a_build(session)
    agents.end(session, agents.a_taken_step(session, build))

    assert not cancel.cancel_build(session, build)
    assert build.result == Result.PASSED


def test_cancelling_twice_announces_the_end_once(session: Session) -> None:
    build = factories.a_build(session)

    assert [cancel.cancel_build(session, build) for _ in range(2)] == [True, False]
    assert agents.announced(session, build.id) == 1


def test_results_read_after_the_cancel_change_nothing(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.await_results(session, step)
    cancel.cancel_build(session, build)

    report.results_collected(session, step.id, [Problem(Reason("test_failures", {"count": 1}))])

    assert agents.state(step) == (Status.FINISHED, Result.ABORTED)
    assert agents.reasons_of(session, build.id) == ["cancelled"]


def test_tests_are_not_stored_for_a_step_that_was_cancelled_while_they_were_read(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, agents.JUNIT_FAILED)
    agents.end(session, step)
    cancel.cancel_build(session, build)

    collect.collect_step(step.id)

    assert testruns.counts_of_build(session, build.id) == {}
    assert agents.announced(session, build.id) == 1


def test_agents_are_told_when_the_cancel_is_committed(database: db.Database) -> None:
    """By NOTIFY, so that a held heartbeat answers in milliseconds."""
    with database.transaction() as session:
        build = factories.a_build(session)
        step = agents.a_taken_step(session, build)
    heard = agents.notices(database, "stop", lambda: agents.commit_cancel(database, build.id))

    assert heard == [step.node_id.hex if step.node_id else ""]


def test_those_who_wait_for_the_limit_are_woken_when_what_held_it_is_cancelled(database: Database) -> None:
    with database.transaction() as session:
        project = queues.a_project(session, "limited", options={"queue.limit": "1"})
        running, _ = queues.ask_for(session, project), queues.ask_for(session, project)
        node = queues.a_node(session)
    assert len(queues.take(database, node)) == 1

    heard = agents.notices(database, "steps", lambda: agents.commit_cancel(database, running.id))

    assert len(heard) == 1
    assert len(queues.take(database, node)) == 1
