from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds.models import Build, JobStep
from changes.protocol import StepReport
from changes.results import statistics
from changes.results.formats import junit


def record(session: Session, step: JobStep, **numbers: int) -> None:
    statistics.record(session, step, step.job.build_id, numbers)


def of(session: Session, item: Build | JobStep) -> dict[str, int]:
    return statistics.of_items(session, [item.id])[item.id]


def test_tests_are_summed_up_in_four_numbers() -> None:
    tests = [
        junit.TestSeen("a", "", "passed", duration_ms=10),
        junit.TestSeen("b", "", "failed", duration_ms=5, reruns=2),
        junit.TestSeen("c", "", "skipped"),
    ]

    assert statistics.of_tests(tests) == {
        "test_count": 3,
        "test_failures": 1,
        "test_duration": 15,
        "test_rerun_count": 1,
    }


def test_numbers_of_steps_add_up_in_their_job_and_build(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    one, other = factories.steps_of(session, build)

    record(session, one, test_count=2)
    record(session, other, test_count=3)

    assert statistics.of_items(session, [build.id, one.job_id, other.job_id]) == {
        build.id: {"test_count": 5},
        one.job_id: {"test_count": 2},
        other.job_id: {"test_count": 3},
    }


def test_numbers_recorded_again_replace_the_old_ones_all_the_way_up(session: Session) -> None:
    build = factories.a_build(session)
    (step,) = factories.steps_of(session, build)
    record(session, step, test_count=5)

    record(session, step, test_count=2)

    assert of(session, step) == of(session, build) == {"test_count": 2}


def test_a_replaced_attempt_does_not_count(session: Session) -> None:
    build = factories.a_build(session)
    lost = agents.a_taken_step(session, build)
    record(session, lost, test_count=5)
    agents.tell(session, lost, StepReport(status="released"))

    record(session, factories.steps_of(session, build)[1], test_count=2)

    assert of(session, build) == {"test_count": 2}


def test_sums_may_be_larger_than_any_part(session: Session) -> None:
    build = factories.a_build(session, plans=2)

    for step in factories.steps_of(session, build):
        record(session, step, test_duration=2**62)
        record(session, step, test_duration=2**61)

    assert of(session, build) == {"test_duration": 2**62}


def test_what_has_no_numbers_has_none(session: Session) -> None:
    assert of(session, factories.a_build(session)) == {}
