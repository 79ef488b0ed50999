from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import clock, ids, jobs
from changes.base.task import Task, TaskState
from changes.builds import again, cancel, hearing, queries, reasons, report, sweep, tasks, timeouts, waiting
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.builds.sweep import Limits, Look
from changes.projects import options
from changes.results import tasks as result_tasks

LIMITS = Limits(silence_s=60, replacements=1)
UNREAD_S = sweep.UNREAD_MAX_MIN * 60 + 1


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server has been listening all the time."""
    monkeypatch.setattr(hearing, "could_hear", lambda _session, *, for_s: for_s == LIMITS.silence_s)


@pytest.fixture
def absent(heard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came back a moment ago: what agents did meanwhile is on its way."""
    monkeypatch.setattr(hearing, "could_hear", lambda _session, *, for_s: for_s != LIMITS.silence_s)


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


def test_a_step_nobody_was_heard_of_for_is_done_again(session: Session) -> None:
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

    assert sweep.find(session, sweep.SILENT, LIMITS) == [step.id]


def test_a_step_that_was_heard_of_in_time_is_left_alone(session: Session) -> None:
    step = a_silent_step(session, factories.a_build(session), seconds=30)

    assert sweep.find(session, sweep.SILENT, LIMITS) == []
    sweep.settle_silent(session, sweep.SILENT, step.id, LIMITS)
    assert step.status == Status.IN_PROGRESS


def test_a_heartbeat_between_the_look_and_the_lock_saves_the_step(session: Session) -> None:
    step = a_silent_step(session, factories.a_build(session))
    found = sweep.find(session, sweep.SILENT, LIMITS)
    agents.be_silent(session, step, 0)

    sweep.settle_silent(session, sweep.SILENT, found[0], LIMITS)

    assert step.status == Status.IN_PROGRESS


def test_a_waiting_step_is_not_silent(session: Session) -> None:
    factories.a_build(session)

    assert sweep.find(session, sweep.SILENT, LIMITS) == []


def test_a_step_that_runs_past_its_limit_has_failed_in_words(session: Session) -> None:
    build = factories.a_build(session)
    step = a_running_step(session, build, for_s=3600 + sweep.TIMEOUT_GRACE_S + 1)

    tasks.sweep_steps()

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["timeout"]
    assert step.replacement_id is None


def test_a_step_past_its_limit_gets_time_to_say_so_itself(session: Session) -> None:
    a_running_step(session, factories.a_build(session), for_s=3600 + sweep.TIMEOUT_GRACE_S / 2)

    assert sweep.find(session, sweep.OVERDUE, LIMITS) == []


def test_a_step_that_passed_while_the_server_was_away_has_passed(session: Session, absent: None) -> None:
    build = factories.a_build(session)
    step = a_running_step(session, build, for_s=24 * 3600)

    tasks.sweep_steps()
    agents.end(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_results_that_nobody_reads_end_the_step_in_words(session: Session) -> None:
    build = factories.a_build(session)
    step = an_unread_step(session, build)

    tasks.sweep_steps()

    assert agents.state(step) == agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    (failure,) = queries.failures_of(session, [build.id])[build.id]
    assert reasons.sentence(failure.reason, failure.data) == (
        "What the step left behind could not be read within 15 minutes"
        " (this limit is fixed; is a worker running?)."
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

    assert sweep.find(session, sweep.UNCOLLECTED, LIMITS) == [step.id]


@pytest.mark.parametrize("state", [TaskState.WAITING, TaskState.RUNNING])
def test_results_somebody_still_reads_are_waited_for(session: Session, state: TaskState) -> None:
    step = an_unread_step(session, factories.a_build(session))
    jobs.enqueue(session, result_tasks.collect_step, step.id)
    session.execute(update(Task).where(Task.child_id == step.id).values(state=state))

    assert sweep.find(session, sweep.UNCOLLECTED, LIMITS) == []


def test_silence_about_results_counts_from_the_report(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.be_silent(session, step, UNREAD_S)

    agents.await_results(session, step)

    assert sweep.find(session, sweep.UNCOLLECTED, LIMITS) == []


def test_results_that_are_read_between_the_look_and_the_lock_count(session: Session) -> None:
    build = factories.a_build(session)
    step = an_unread_step(session, build)
    found = sweep.find(session, sweep.UNCOLLECTED, LIMITS)
    report.results_collected(session, step.id, [])

    sweep.settle_silent(session, sweep.UNCOLLECTED, found[0], LIMITS)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_step_that_cannot_be_settled_holds_up_no_other(session: Session) -> None:
    builds = [factories.a_build(session) for _ in range(3)]
    steps = [a_silent_step(session, build) for build in builds]
    poisoned = agents.jobs_of(session, builds[1])[0]
    poisoned.tally = {}
    session.flush()

    with pytest.raises(ValueError, match="nothing is counted"):
        tasks.sweep_steps()

    assert [step.status == Status.FINISHED for step in steps] == [True, False, True]


@pytest.mark.parametrize("look", sweep.LOOKS)
def test_a_step_that_ended_meanwhile_is_left_alone(session: Session, look: Look) -> None:
    build = factories.a_build(session)
    step = a_silent_step(session, build)
    cancel.cancel_build(session, build)

    sweep.settle_silent(session, look, step.id, LIMITS)

    assert agents.state(step) == (Status.FINISHED, Result.ABORTED)
    assert agents.reasons_of(session, build.id) == ["cancelled"]


@pytest.mark.parametrize("look", sweep.LOOKS)
def test_a_step_that_was_deleted_meanwhile_is_no_error(session: Session, look: Look) -> None:
    sweep.settle_silent(session, look, ids.new(), LIMITS)


# --- taken and not begun -----------------------------------------------------------------------


def a_step_not_begun(session: Session, build: Build, *, for_s: float) -> JobStep:
    step = agents.a_taken_step(session, build)
    taken = clock.now() - timedelta(seconds=for_s)
    session.execute(update(JobStep).where(JobStep.id == step.id).values(date_allocated=taken))
    return step


def test_a_step_its_living_agent_does_not_begin_is_given_to_another(session: Session) -> None:
    build = factories.a_build(session)
    step = a_step_not_begun(session, build, for_s=181)

    tasks.sweep_steps()

    assert agents.state(step) == (Status.FINISHED, Result.INFRA_FAILED)
    assert step.replacement_id is not None
    (why,) = told(session, build, lost=True)
    node = agents.node_of(session, step).label
    assert why.startswith(f"The agent {node} took this and did not begin within 180 seconds (limit: ")
    assert "JOBSTEP_ALLOCATION_TIMEOUT_SECONDS" in why


def test_a_step_that_was_begun_in_time_may_run(session: Session) -> None:
    build = factories.a_build(session)
    step = a_step_not_begun(session, build, for_s=181)
    agents.begin(session, step)

    assert sweep.find(session, sweep.NOT_BEGUN, LIMITS) == []


# --- queued too long ---------------------------------------------------------------------------


def a_step_that_may_wait(session: Session, *, limit_min: int, waits_s: float) -> JobStep:
    project = factories.a_project(session)
    options.change(session, project, {options.QUEUE_TIMEOUT: str(limit_min)})
    step = factories.steps_of(session, factories.a_build(session, project))[0]
    since = clock.now() - timedelta(seconds=waits_s)
    session.execute(update(JobStep).where(JobStep.id == step.id).values(date_pending=since))
    return step


def test_a_step_that_waits_too_long_is_given_up_in_words(session: Session) -> None:
    step = a_step_that_may_wait(session, limit_min=10, waits_s=601)
    build = session.get_one(Build, step.job.build_id)

    tasks.sweep_steps()

    assert agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    (why,) = told(session, build)
    assert why.startswith("No agent took it within 10 minutes (limit: build.queue-timeout ")
    assert why.endswith(f" of the project {build.project.slug}).")


def test_nobody_waited_too_long_for_an_agent_while_none_could_ask(session: Session, absent: None) -> None:
    step = a_step_that_may_wait(session, limit_min=10, waits_s=601)

    tasks.sweep_steps()

    assert step.status == Status.PENDING_ALLOCATION


def test_without_the_option_a_step_waits_as_long_as_it_takes(session: Session) -> None:
    a_step_that_may_wait(session, limit_min=0, waits_s=1_000_000)

    assert sweep.find(session, sweep.QUEUED, LIMITS) == []


def test_a_pause_between_two_attempts_is_not_waiting_for_an_agent(session: Session) -> None:
    step = a_step_that_may_wait(session, limit_min=10, waits_s=601)
    step.not_before = clock.now()
    session.flush()

    assert sweep.find(session, sweep.QUEUED, LIMITS) == []


def test_an_agent_that_takes_the_step_in_the_last_moment_may_have_it(session: Session) -> None:
    step = a_step_that_may_wait(session, limit_min=10, waits_s=601)
    found = sweep.find(session, sweep.QUEUED, LIMITS)
    factories.give_to(session, step, factories.a_node(session))

    sweep.settle_silent(session, sweep.QUEUED, found[0], LIMITS)

    assert step.status == Status.ALLOCATED


# --- the build as a whole ----------------------------------------------------------------------


def a_build_that_may_take(session: Session, *, minutes: int, plans: int = 1) -> Build:
    project = factories.a_project(session)
    options.change(session, project, {options.OVERALL_TIMEOUT: str(minutes)})
    return factories.a_build(session, project, plans=plans)


def be_late(session: Session, build: Build) -> None:
    session.execute(update(Build).where(Build.id == build.id).values(date_due=clock.now()))


def test_a_build_that_takes_too_long_ends_with_all_that_is_left_of_it(session: Session) -> None:
    build = a_build_that_may_take(session, minutes=90, plans=2)
    agents.begin(session, agents.a_taken_step(session, build))
    be_late(session, build)

    tasks.sweep_builds()

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert {agents.state(each) for each in factories.steps_of(session, build)} == {agents.state(build)}
    (why,) = told(session, build)
    assert why.startswith("The build was not done within 90 minutes (limit: build.overall-timeout ")
    assert why.endswith(f" of the project {build.project.slug}).")


def test_a_build_that_never_began_is_not_to_blame_for_being_late(session: Session) -> None:
    build = a_build_that_may_take(session, minutes=90)
    be_late(session, build)

    tasks.sweep_builds()

    assert agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)


def test_a_build_is_not_late_before_agents_could_tell_how_it_went(session: Session, absent: None) -> None:
    build = a_build_that_may_take(session, minutes=90)
    be_late(session, build)

    tasks.sweep_builds()

    assert not build.is_finished


def test_a_build_within_its_limit_goes_on(session: Session) -> None:
    a_build_that_may_take(session, minutes=90)

    assert sweep.find_builds_overdue(session) == []


def test_a_build_that_ended_before_anybody_looked_keeps_its_verdict(session: Session) -> None:
    build = a_build_that_may_take(session, minutes=90)
    be_late(session, build)
    agents.end(session, agents.a_taken_step(session, build))

    sweep.give_up_build(session, build.id)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_what_is_repeated_has_all_of_the_time_again(session: Session) -> None:
    build = a_build_that_may_take(session, minutes=90)
    be_late(session, build)
    tasks.sweep_builds()

    again.repeat_failed(session, build)

    assert sweep.find_builds_overdue(session) == []
    assert told(session, build) == []


# --- what a limit says of itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("set_by", "where"),
    [
        ("file", "; the plan tests sets it, by `timeout` in .changes.yml."),
        ("data", "; the plan tests sets it, by `timeout` of its step."),
        ("step", "; the plan tests sets it, by the option build.timeout of its step."),
        ("plan", "; the plan tests sets it, by its option build.timeout."),
        ("server", "; the plan tests sets none, so it is the server's DEFAULT_JOB_TIMEOUT_MIN."),
        ("an older version", "; `timeout` of the plan tests changes it."),
    ],
)
def test_a_limit_says_where_it_can_be_changed(set_by: str, where: str) -> None:
    facts = {"limit_min": 20.0, "where": timeouts.where_set(set_by, "tests")}

    told = reasons.sentence(reasons.TIMEOUT, facts)

    assert told == f"It ran longer than its limit of 20 minutes{where}"


def test_a_web_server_with_a_wrong_clock_changes_no_verdict(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a step began, and when it is over, is told by the database."""
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now - timedelta(days=30))
    agents.begin(session, step)

    assert sweep.find(session, sweep.OVERDUE, LIMITS) == []
    assert step.date_started is not None
    assert abs(step.date_started - now) < timedelta(hours=1)


def told(session: Session, build: Build, *, lost: bool = False) -> list[str]:
    found = waiting.lost_attempts(session, build.id) if lost else None
    whys = queries.failures_of(session, [build.id])[build.id] if found is None else found
    return [reasons.sentence(why.reason, why.data) for why in whys]
