from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import cancel, create, settle
from changes.builds.create import NewBuild
from changes.builds.models import Build, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status
from changes.protocol import StepReport

RELEASED = StepReport(status="released")
TRUE = {"commands": ["true"]}


def a_build_in_phases(session: Session, phases: int = 3) -> Build:
    """One plan with as many steps, which run one after the other."""
    project = factories.a_project(session)
    factories.a_plan(session, project, *[TRUE] * phases)
    source = factories.a_source(session, project)
    asked = NewBuild(source, ids.new(), label="phases", target="", message="", author=None)
    return create.create_build(session, project, asked)


def run(session: Session, step: JobStep, *, code: int = 0) -> None:
    factories.give_to(session, step, factories.a_node(session))
    agents.begin(session, step)
    agents.end(session, step, code=code)


def phase_states(session: Session, build: Build) -> list[tuple[Status, Result]]:
    return [(phase.status, phase.result) for phase in factories.phases_of(session, build)]


def test_a_passed_phase_opens_the_next_one_and_no_other(session: Session) -> None:
    build = a_build_in_phases(session)
    steps = factories.steps_of(session, build)

    run(session, steps[0])

    assert [step.status for step in steps] == [Status.FINISHED, Status.PENDING_ALLOCATION, Status.QUEUED]
    assert [status for status, _ in phase_states(session, build)] == [
        Status.FINISHED,
        Status.PENDING_ALLOCATION,
        Status.QUEUED,
    ]
    assert not build.is_finished


def test_a_job_passes_with_its_last_phase(session: Session) -> None:
    build = a_build_in_phases(session)

    for step in factories.steps_of(session, build):
        run(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert agents.announced(session, build.id) == 1


def test_a_failed_phase_skips_the_rest_and_the_job_has_failed(session: Session) -> None:
    build = a_build_in_phases(session)
    steps = factories.steps_of(session, build)

    run(session, steps[0], code=1)

    assert phase_states(session, build) == [
        (Status.FINISHED, Result.FAILED),
        (Status.FINISHED, Result.SKIPPED),
        (Status.FINISHED, Result.SKIPPED),
    ]
    assert [agents.state(step) for step in steps[1:]] == [(Status.FINISHED, Result.SKIPPED)] * 2
    assert [agents.state(job) for job in agents.jobs_of(session, build)] == [(Status.FINISHED, Result.FAILED)]
    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_failure_in_a_later_phase_fails_the_job_too(session: Session) -> None:
    build = a_build_in_phases(session)
    steps = factories.steps_of(session, build)

    run(session, steps[0])
    run(session, steps[1], code=1)

    assert [result for _, result in phase_states(session, build)] == [
        Result.PASSED,
        Result.FAILED,
        Result.SKIPPED,
    ]
    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_lost_attempt_does_not_skip_the_phases_behind_it(session: Session) -> None:
    build = a_build_in_phases(session, 2)
    first, second = factories.steps_of(session, build)
    factories.give_to(session, first, factories.a_node(session))

    agents.tell(session, first, RELEASED)

    assert agents.state(second) == (Status.QUEUED, Result.UNKNOWN)
    run(session, factories.steps_of(session, build)[2])
    assert agents.state(second) == (Status.PENDING_ALLOCATION, Result.UNKNOWN)


def test_the_first_start_is_kept_even_when_that_attempt_is_replaced(session: Session) -> None:
    build = factories.a_build(session)
    lost = agents.a_taken_step(session, build)
    agents.begin(session, lost)
    began_at = lost.date_started

    agents.tell(session, lost, RELEASED)
    run(session, factories.steps_of(session, build)[1])

    job = agents.jobs_of(session, build)[0]
    (phase,) = factories.phases_of(session, build)
    assert (build.date_started, job.date_started, phase.date_started) == (began_at,) * 3


def test_a_build_begins_with_its_first_step_and_ends_with_its_last(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    one, other = factories.steps_of(session, build)

    run(session, other)
    run(session, one)

    assert build.date_started == other.date_started
    assert build.date_finished == one.date_finished
    assert build.date_decided is not None


def test_a_build_with_a_failed_job_is_failing_before_it_ends(session: Session) -> None:
    build = factories.a_build(session, plans=2)

    run(session, factories.steps_of(session, build)[0], code=1)

    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.FAILED)
    assert build.date_finished is None
    assert agents.announced(session, build.id) == 0


def test_a_lost_attempt_that_is_not_replaced_makes_the_job_infra_failed(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    agents.tell(session, step, RELEASED, limit=0)

    assert agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    assert agents.reasons_of(session, build.id) == ["agent_stopped", "replaced_too_often"]


def test_the_same_reason_for_the_same_thing_is_kept_once(session: Session) -> None:
    build = factories.a_build(session)
    step = factories.steps_of(session, build)[0]
    why = Reason("timeout", {"limit_min": 1})

    for _ in range(2):
        settle.explain(session, build.id, why, step=step)
    settle.explain(session, build.id, why)

    assert agents.reasons_of(session, build.id) == ["timeout", "timeout"]


def test_a_step_that_does_not_exist_locks_nothing(session: Session) -> None:
    assert settle.lock_step(session, ids.new()) is None


def test_cancelling_during_a_phase_leaves_what_passed_as_it_was(session: Session) -> None:
    build = a_build_in_phases(session)
    run(session, factories.steps_of(session, build)[0])

    cancel.cancel_build(session, build)

    assert phase_states(session, build) == [
        (Status.FINISHED, Result.PASSED),
        (Status.FINISHED, Result.ABORTED),
        (Status.FINISHED, Result.ABORTED),
    ]
