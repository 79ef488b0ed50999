"""When the steps of a build waited and ran."""

from datetime import UTC, datetime, timedelta

from changes.builds.models import JobStep
from changes.builds.rules import Result, Status
from changes.web.pages import states, timelines

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_step_waits_and_then_runs() -> None:
    step = JobStep(
        status=Status.FINISHED, result=Result.PASSED, date_created=NOON,
        date_started=NOON + timedelta(seconds=4), date_finished=NOON + timedelta(seconds=9),
    )  # fmt: skip

    waited, ran = timelines.spans(step, NOON, NOON)

    assert (waited.start_s, waited.end_s, waited.state) == (0, 4, states.WAITING)
    assert (ran.start_s, ran.end_s, ran.state) == (4, 9, states.PASSED)


def test_a_machine_whose_clock_is_behind_began_when_it_was_asked() -> None:
    step = JobStep(
        status=Status.IN_PROGRESS, result=Result.UNKNOWN, date_created=NOON,
        date_started=NOON - timedelta(hours=1),
    )  # fmt: skip

    waited, ran = timelines.spans(step, NOON, NOON + timedelta(seconds=5))

    assert waited.end_s == ran.start_s == 0
    assert ran.end_s == 5
