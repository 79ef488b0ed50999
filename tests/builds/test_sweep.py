from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import clock, ids, jobs
from changes.base.task import Task, TaskState
from changes.builds import cancel, hearing, queries, reasons, report, sweep, tasks
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.builds.sweep import Limits
from changes.results import tasks as result_tasks

LIMITS = Limits(silence_s=60, replacements=1)
UNREAD_S = sweep.UNREAD_MAX_MIN * 60 + 1


def a_silent_step(session: Session, build: Build, seconds: float = 61) -> JobStep:
    step = agents.a_taken_step(session, build)
    agents.begin(session, step)
    agents.be_silent(session, step, seconds)
    return step


def a_running_step(session: Session, build: Build, *, for_s: float) -> JobStep:
    step = agents.a_taken_step(session, build)
    agents.begin(session, step)
    began = clock.now() - timedelta(seconds=for_s)
    session.execute(update(JobStep).where(JobStep.id == step.id).values(date_started=began))
    return step


def an_unread_step(session: Session, build: Build, result: Result = Result.PASSED) -> JobStep:
    step = agents.a_taken_step(session, build)
    agents.await_results(session, step, result)
    agents.be_silent(session, step, UNREAD_S)
    return step


def test_a_step_nobody_was_heard_of_for_is_done_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "could_hear", lambda _session, *, for_s: for_s == LIMITS.silence_s)
    build = factories.a_build(session)
    step = a_silent_step(session, build)

    tasks.sweep_steps()

    assert agents.state(step) == (Status.FINISHED, Result.INFRA_FAILED)
    assert [each.status for each in factories.steps_of(session, build)] == [
        Status.FINISHED,
        Status.PENDING_ALLOCATION,
    ]
    assert agents.reasons_of(session, build.id) == ["agent_lost"]


def test_a_step_taken_and_never_begun_is_missed_too(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.be_silent(session, step, 61)

    assert sweep.find_silent(session, LIMITS) == [step.id]


def test_a_step_that_was_heard_of_in_time_is_left_alone(session: Session) -> None:
    step = a_silent_step(session, factories.a_build(session), seconds=30)

    assert sweep.find_silent(session, LIMITS) == []
    sweep.give_up_silent(session, step.id, LIMITS)
    assert step.status == Status.IN_PROGRESS


def test_a_heartbeat_between_the_look_and_the_lock_saves_the_step(session: Session) -> None:
    step = a_silent_step(session, factories.a_build(session))
    found = sweep.find_silent(session, LIMITS)
    agents.be_silent(session, step, 0)

    sweep.give_up_silent(session, found[0], LIMITS)

    assert step.status == Status.IN_PROGRESS


def test_a_waiting_step_is_not_silent(session: Session) -> None:
    factories.a_build(session)

    assert sweep.find_silent(session, LIMITS) == []


def test_a_step_that_runs_past_its_limit_has_failed_in_words(session: Session) -> None:
    build = factories.a_build(session)
    step = a_running_step(session, build, for_s=3600 + sweep.TIMEOUT_GRACE_S + 1)

    tasks.sweep_steps()

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["timeout"]
    assert step.replacement_id is None


def test_a_step_past_its_limit_gets_time_to_say_so_itself(session: Session) -> None:
    a_running_step(session, factories.a_build(session), for_s=3600 + sweep.TIMEOUT_GRACE_S / 2)

    assert sweep.find_overdue(session) == []


def test_results_that_nobody_reads_end_the_step_in_words(session: Session) -> None:
    build = factories.a_build(session)
    step = an_unread_step(session, build)

    tasks.sweep_steps()

    assert agents.state(step) == agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    (failure,) = queries.failures_of(session, [build.id])[build.id]
    assert reasons.sentence(failure.reason, failure.data) == (
        "What the step left behind could not be read within 15 minutes."
    )


def test_a_step_that_failed_has_failed_even_when_its_results_are_not_read(session: Session) -> None:
    build = factories.a_build(session)
    an_unread_step(session, build, Result.FAILED)

    tasks.sweep_steps()

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_results_of_which_reading_failed_for_good_are_given_up(session: Session) -> None:
    step = an_unread_step(session, factories.a_build(session))
    jobs.enqueue(session, result_tasks.collect_step, step.id)
    session.execute(update(Task).where(Task.child_id == step.id).values(state=TaskState.FAILED))

    assert sweep.find_uncollected(session) == [step.id]


@pytest.mark.parametrize("state", [TaskState.WAITING, TaskState.RUNNING])
def test_results_somebody_still_reads_are_waited_for(session: Session, state: TaskState) -> None:
    step = an_unread_step(session, factories.a_build(session))
    jobs.enqueue(session, result_tasks.collect_step, step.id)
    session.execute(update(Task).where(Task.child_id == step.id).values(state=state))

    assert sweep.find_uncollected(session) == []


def test_silence_about_results_counts_from_the_report(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.be_silent(session, step, UNREAD_S)

    agents.await_results(session, step)

    assert sweep.find_uncollected(session) == []


def test_results_that_are_read_between_the_look_and_the_lock_count(session: Session) -> None:
    build = factories.a_build(session)
    step = an_unread_step(session, build)
    found = sweep.find_uncollected(session)
    report.results_collected(session, step.id, [])

    sweep.give_up_uncollected(session, found[0])

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


GIVE_UP: list[Callable[[Session, JobStep], None]] = [
    lambda session, step: sweep.give_up_silent(session, step.id, LIMITS),
    lambda session, step: sweep.give_up_overdue(session, step.id),
    lambda session, step: sweep.give_up_uncollected(session, step.id),
]


@pytest.mark.parametrize("give_up", GIVE_UP)
def test_a_step_that_ended_meanwhile_is_left_alone(
    session: Session, give_up: Callable[[Session, JobStep], None]
) -> None:
    build = factories.a_build(session)
    step = a_silent_step(session, build)
    cancel.cancel_build(session, build)

    give_up(session, step)

    assert agents.state(step) == (Status.FINISHED, Result.ABORTED)
    assert agents.reasons_of(session, build.id) == []


def test_a_step_that_was_deleted_meanwhile_is_no_error(session: Session) -> None:
    gone = ids.new()

    sweep.give_up_silent(session, gone, LIMITS)
    sweep.give_up_overdue(session, gone)
    sweep.give_up_uncollected(session, gone)
