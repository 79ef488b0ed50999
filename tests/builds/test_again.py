"""Doing a build again: as a new one, or new attempts at what of it did not pass."""

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.builds.test_settle import RELEASED, a_build_in_phases, run

from changes.base import ids
from changes.base.errors import Conflict, Invalid
from changes.builds import again, cancel, counting, create, queries
from changes.builds.create import NewBuild
from changes.builds.events import BuildFailing
from changes.builds.models import Build, Job, JobPhase, JobStep
from changes.builds.rules import Cause, Origin, Priority, Result, Status
from changes.projects.rules import ProjectStatus
from changes.results import collect, statistics, testruns

PASSED, FAILED = (Status.FINISHED, Result.PASSED), (Status.FINISHED, Result.FAILED)
WAITING = (Status.PENDING_ALLOCATION, Result.UNKNOWN)


def a_failed_build(session: Session, *, good: int = 1, bad: int = 1) -> Build:
    build = factories.a_build(session, plans=good + bad)
    steps = factories.steps_of(session, build)
    for number, step in enumerate(steps):
        run(session, step, code=int(number >= good))
    return build


def newest(session: Session, build: Build) -> list[JobStep]:
    return [step for step in factories.steps_of(session, build) if step.replacement_id is None]


def told_of(step: JobStep) -> tuple[object, ...]:
    return (*agents.state(step), step.date_started, step.date_finished, step.node_id, step.attempt, step.data)


# --- a new build of the same ---------------------------------------------------------------------


def test_a_new_build_of_the_same_keeps_what_made_the_first_one_what_it_is(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["true"]})
    source = factories.a_source(session, project, patch=b"--- a\n+++ b\n")
    asked = NewBuild(
        source, ids.new(), "label", "D12", "message", None, tags=["patch"], priority=Priority.HIGH
    )
    first = create.create_build(session, project, asked)

    made = again.build_again(session, first, Cause.RETRY, timeout_min=60)

    kept = ("source_id", "label", "target", "message", "author_id", "tags", "priority")
    assert [getattr(made, name) for name in kept] == [getattr(first, name) for name in kept]
    assert (made.cause, made.retried_id) == (Cause.RETRY, first.id)
    assert made.collection_id != first.collection_id


def test_a_project_that_is_not_active_builds_nothing_again(session: Session) -> None:
    build = a_failed_build(session)
    build.project.status = ProjectStatus.INACTIVE

    with pytest.raises(Invalid, match="is not active"):
        again.build_again(session, build, Cause.RETRY, timeout_min=60)
    with pytest.raises(Invalid, match="is not active"):
        again.repeat_failed(session, build)


# --- only what failed ----------------------------------------------------------------------------


def test_only_what_failed_is_done_again_and_decides_anew(session: Session) -> None:
    build = a_failed_build(session)
    good, bad = factories.steps_of(session, build)

    again.repeat_failed(session, build)

    repeated = newest(session, build)[1]
    assert agents.state(build) == WAITING
    assert (bad.replacement_id, repeated.attempt, repeated.origin) == (repeated.id, 2, Origin.ASKED)
    assert good.replacement_id is None
    run(session, repeated)
    assert agents.state(build) == PASSED


def test_the_attempt_that_failed_stays_as_it_was(session: Session) -> None:
    build = a_failed_build(session, good=0)
    (failed,) = factories.steps_of(session, build)
    before = told_of(failed)

    again.repeat_failed(session, build)
    run(session, newest(session, build)[0])

    session.refresh(failed)
    assert told_of(failed) == before


def test_a_late_word_about_the_old_attempt_reaches_only_that(session: Session) -> None:
    build = a_failed_build(session, good=0)
    (failed,) = factories.steps_of(session, build)
    again.repeat_failed(session, build)

    assert not agents.tell(session, failed, RELEASED)

    assert agents.state(failed) == FAILED
    assert agents.state(newest(session, build)[0]) == WAITING


def test_a_cancelled_build_can_be_taken_up_where_it_was(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    run(session, factories.steps_of(session, build)[0])
    cancel.cancel_build(session, build)

    again.repeat_failed(session, build)
    run(session, newest(session, build)[1])

    assert [step.attempt for step in newest(session, build)] == [1, 2]
    assert agents.state(build) == PASSED


def test_phases_that_were_skipped_because_of_a_failure_run_after_it_was_mended(session: Session) -> None:
    build = a_build_in_phases(session, 3)
    run(session, factories.steps_of(session, build)[0], code=1)

    again.repeat_failed(session, build)

    first, second, third = newest(session, build)
    assert [step.status for step in (first, second, third)] == [
        Status.PENDING_ALLOCATION,
        Status.QUEUED,
        Status.QUEUED,
    ]
    for step in (first, second, third):
        run(session, step)
    assert agents.state(build) == PASSED


def test_a_phase_that_passed_is_not_done_again_for_a_later_one_that_failed(session: Session) -> None:
    build = a_build_in_phases(session, 2)
    one, two = factories.steps_of(session, build)
    run(session, one)
    run(session, two, code=1)

    again.repeat_failed(session, build)

    assert [step.attempt for step in newest(session, build)] == [1, 2]
    assert newest(session, build)[1].status == Status.PENDING_ALLOCATION


def test_while_others_still_run_a_failed_job_can_be_done_again(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    one, other = factories.steps_of(session, build)
    run(session, one, code=1)
    agents.begin(session, factories.give_to(session, other, factories.a_node(session)))

    again.repeat_failed(session, build)

    assert agents.state(build) == (Status.IN_PROGRESS, Result.UNKNOWN)
    run(session, newest(session, build)[-1])
    agents.end(session, other)
    assert agents.state(build) == PASSED


def test_where_nothing_failed_there_is_nothing_to_do_again(session: Session) -> None:
    build = factories.a_build(session)
    run(session, factories.steps_of(session, build)[0])

    with pytest.raises(Conflict, match="nothing to do again"):
        again.repeat_failed(session, build)


def test_a_job_that_waited_for_a_failed_one_waits_for_its_new_attempt(session: Session) -> None:
    build = a_build_with_a_need(session)
    first, _ = factories.steps_of(session, build)
    run(session, first, code=1)
    assert agents.state(build) == FAILED

    again.repeat_failed(session, build)

    needed, waiting = newest(session, build)
    assert agents.state(waiting) == (Status.QUEUED, Result.UNKNOWN)
    run(session, needed)
    assert agents.state(waiting) == WAITING
    run(session, waiting)
    assert agents.state(build) == PASSED


def test_a_job_that_cannot_run_any_more_says_that_a_part_of_it_was_cancelled(session: Session) -> None:
    project = factories.a_project(session)
    phases = "[{commands: [x]}, {commands: [y]}]"
    config = f"plans: [{{name: a, commands: [one]}}, {{name: b, needs: [a], steps: {phases}}}]"
    source = factories.a_source(session, project, config=config)
    build = create.create_build(session, project, NewBuild(source, ids.new(), "needs", "", "", None))
    needed, _, last = factories.steps_of(session, build)

    cancel.cancel_step(session, last.id)
    run(session, needed, code=1)

    assert [job.result for job in agents.jobs_of(session, build)] == [Result.FAILED, Result.ABORTED]
    assert build.result == Result.ABORTED


def a_build_with_a_need(session: Session) -> Build:
    project = factories.a_project(session)
    config = "plans: [{name: a, commands: [one]}, {name: b, commands: [two], needs: [a]}]"
    source = factories.a_source(session, project, config=config)
    return create.create_build(session, project, NewBuild(source, ids.new(), "needs", "", "", None))


# --- all of it -----------------------------------------------------------------------------------


def test_a_restart_does_everything_again_in_the_same_build(session: Session) -> None:
    build = a_failed_build(session)

    again.restart(session, build)

    assert {step.attempt for step in newest(session, build)} == {2}
    for step in newest(session, build):
        run(session, step)
    assert agents.state(build) == PASSED
    assert len(factories.steps_of(session, build)) == 4


def test_a_build_that_still_runs_cannot_be_restarted(session: Session) -> None:
    with pytest.raises(Invalid, match="has ended"):
        again.restart(session, factories.a_build(session))


def test_a_build_of_which_nothing_could_run_cannot_be_restarted(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project)
    build = factories.a_build(session, project, plans=0)

    with pytest.raises(Conflict, match="Ask for a new build"):
        again.restart(session, build)


def test_every_end_is_announced_and_the_first_failure_once(session: Session) -> None:
    agents.listen(BuildFailing)
    build = a_failed_build(session)

    again.restart(session, build)
    for step in newest(session, build):
        run(session, step, code=1)

    assert agents.announced(session, build.id) == 2
    assert build.endings == 2
    assert agents.announced(session, build.id, BuildFailing) == 1


def test_a_build_that_goes_on_has_no_verdict_and_no_end(session: Session) -> None:
    build = a_failed_build(session)
    began = build.date_started

    again.repeat_failed(session, build)

    assert (build.date_decided, build.date_finished, build.date_started) == (None, None, began)


# --- one job -------------------------------------------------------------------------------------


def test_one_job_is_done_again_and_the_others_are_not(session: Session) -> None:
    build = a_failed_build(session, good=2, bad=0)
    job = agents.jobs_of(session, build)[1]

    again.repeat_job(session, job.id)

    assert [step.attempt for step in newest(session, build)] == [1, 2]
    assert agents.state(job) == WAITING
    run(session, newest(session, build)[1], code=1)
    assert agents.state(build) == FAILED


def test_a_job_that_still_runs_cannot_be_done_again(session: Session) -> None:
    job = agents.jobs_of(session, factories.a_build(session))[0]

    with pytest.raises(Conflict, match="has ended"):
        again.repeat_job(session, job.id)


# --- what is shown -------------------------------------------------------------------------------


def test_what_a_mended_attempt_suffered_from_is_no_failure_of_the_build(session: Session) -> None:
    build = a_failed_build(session, good=0)

    again.repeat_failed(session, build)

    assert queries.failures_of(session, [build.id])[build.id] == []


def test_only_the_newest_attempts_tests_are_counted(session: Session) -> None:
    build = factories.a_build(session)
    step = factories.give_to(session, factories.steps_of(session, build)[0], factories.a_node(session))
    agents.leave_behind(session, step, agents.JUNIT_FAILED)
    agents.end(session, step)
    collect.collect_step(step.id)

    again.repeat_failed(session, build)
    step = factories.give_to(session, newest(session, build)[0], factories.a_node(session))
    agents.leave_behind(session, step, agents.JUNIT)
    agents.end(session, step)
    collect.collect_step(step.id)

    assert agents.state(build) == PASSED
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}
    assert testruns.failures_of_build(session, build.id, limit=9) == []
    assert statistics.of_items(session, [build.id])[build.id]["test_failures"] == 0


def test_the_counts_are_right_after_all_of_it(session: Session) -> None:
    build = a_failed_build(session, good=2, bad=2)
    again.repeat_failed(session, build)
    again.repeat_job(session, agents.jobs_of(session, build)[0].id)

    wholes: list[Build | Job | JobPhase] = [
        build,
        *agents.jobs_of(session, build),
        *factories.phases_of(session, build),
    ]
    for whole in wholes:
        assert whole.tally is None or whole.tally == counting.counted(session, whole)
