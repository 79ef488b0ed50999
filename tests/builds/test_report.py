import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.base.errors import Conflict, Invalid, NotFound
from changes.builds import cancel, queries, reasons, report
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, Status
from changes.projects import queries as projects
from changes.protocol import CommandReport, StepReport

RELEASED = StepReport(status="released", reason="agent_restarted")
ABORTED = StepReport(status="finished", result="aborted")
LOST = StepReport(status="finished", result="infra_failed")


def test_the_first_word_about_a_step_starts_it_and_all_above_it(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    agents.begin(session, step)

    (phase,), (job,) = factories.phases_of(session, build), agents.jobs_of(session, build)
    assert {each.status for each in (step, phase, job, build)} == {Status.IN_PROGRESS}
    assert {each.date_started for each in (step, phase, job, build)} == {step.date_started}


def test_a_step_that_ran_all_its_commands_well_has_passed(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.begin(session, step)

    agents.end(session, step)

    assert agents.state(step) == agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert agents.announced(session, build.id) == 1


def test_a_step_may_be_reported_finished_before_it_was_reported_begun(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    agents.end(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert step.date_started is not None
    assert build.date_started == step.date_started
    assert build.duration_ms is not None


def test_a_repeated_final_report_is_a_success_and_changes_nothing(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.end(session, step)
    ended_at = step.date_finished

    again = agents.end(session, step)

    assert again
    assert step.date_finished == ended_at
    assert agents.announced(session, build.id) == 1
    assert "late_reports" not in step.data


def test_another_outcome_for_a_finished_step_is_kept_and_not_applied(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.end(session, step)

    accepted = agents.end(session, step, code=1)

    assert not accepted
    assert step.result == Result.PASSED
    assert [late["report"] for late in step.data["late_reports"]] == ["failed"]


def test_only_the_newest_late_reports_are_kept(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.end(session, step)

    for _ in range(report.LATE_REPORTS_KEPT + 5):
        agents.tell(session, step, LOST)

    assert len(step.data["late_reports"]) == report.LATE_REPORTS_KEPT


def test_stale_news_after_the_final_report_are_accepted(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.end(session, step)

    assert agents.begin(session, step)
    assert step.status == Status.FINISHED


def test_the_agent_of_a_cancelled_step_hears_with_its_first_word_that_it_is_over(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    cancel.cancel_build(session, build)

    assert not agents.begin(session, step)
    assert agents.state(step) == (Status.FINISHED, Result.ABORTED)


def test_a_passing_report_of_a_cancelled_step_comes_too_late(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    cancel.cancel_build(session, build)

    assert not agents.end(session, step)
    assert agents.state(build) == (Status.FINISHED, Result.ABORTED)


def test_a_released_step_is_replaced_once_however_often_that_is_told(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.begin(session, step)

    answers = [agents.tell(session, step, RELEASED), agents.tell(session, step, RELEASED)]

    assert answers == [True, True]
    old, new = factories.steps_of(session, build)
    assert agents.state(old) == (Status.FINISHED, Result.INFRA_FAILED)
    assert old.replacement_id == new.id
    assert new.status == Status.PENDING_ALLOCATION


def test_what_a_released_step_suffered_from_is_not_held_against_the_build(session: Session) -> None:
    build = factories.a_build(session)
    agents.tell(session, agents.a_taken_step(session, build), RELEASED)
    again = factories.give_to(session, factories.steps_of(session, build)[1], factories.a_node(session))

    agents.end(session, again)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert queries.failures_of(session, [build.id])[build.id] == []


def test_a_step_of_another_node_is_not_told_about(session: Session) -> None:
    step = agents.a_taken_step(session)
    other = factories.a_node(session)

    with pytest.raises(NotFound):
        report.accept(session, other.id, step.id, ABORTED, replace_limit=1)


def test_a_step_that_nobody_took_cannot_be_reported(session: Session) -> None:
    step = factories.steps_of(session, factories.a_build(session))[0]

    with pytest.raises(NotFound):
        report.accept(session, factories.a_node(session).id, step.id, ABORTED, replace_limit=1)


def test_an_unknown_step_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        report.accept(session, ids.new(), ids.new(), ABORTED, replace_limit=1)


def test_a_command_of_another_step_is_refused(session: Session) -> None:
    step = agents.a_taken_step(session)
    stranger = CommandReport(id=ids.new().hex, status="in_progress")

    with pytest.raises(Invalid):
        agents.tell(session, step, StepReport(status="in_progress", commands=[stranger]))


def test_a_finished_command_needs_its_return_code(session: Session) -> None:
    step = agents.a_taken_step(session)
    mine = agents.commands_of(session, step)[0]
    ended = CommandReport(id=mine.id.hex, status="finished")

    with pytest.raises(Conflict):
        agents.tell(session, step, StepReport(status="in_progress", commands=[ended]))


def test_a_finished_command_does_not_change_any_more(session: Session) -> None:
    step = agents.a_taken_step(session)
    command = agents.commands_of(session, step)[0]
    first = CommandReport(id=command.id.hex, status="finished", return_code=3, duration_ms=2000)
    agents.tell(session, step, StepReport(status="in_progress", commands=[first]))

    second = CommandReport(id=command.id.hex, status="finished", return_code=0)
    agents.tell(session, step, StepReport(status="in_progress", commands=[second]))

    assert command.return_code == 3
    assert command.duration_ms == 2000


def test_a_finished_step_needs_a_result(session: Session) -> None:
    step = agents.a_taken_step(session)

    with pytest.raises(Invalid):
        agents.tell(session, step, StepReport(status="finished"))


def test_a_step_with_a_failed_command_has_not_passed_whatever_its_agent_says(session: Session) -> None:
    step = agents.a_taken_step(session)
    command = agents.commands_of(session, step)[0]
    failed = CommandReport(id=command.id.hex, status="finished", return_code=1)

    agents.tell(session, step, StepReport(status="finished", result="passed", commands=[failed]))

    assert step.result == Result.FAILED


def test_a_step_with_a_command_that_never_ran_has_not_passed(session: Session) -> None:
    step = agents.a_taken_step(session)

    agents.tell(session, step, StepReport(status="finished", result="passed"))

    assert step.result == Result.FAILED


TOLD_REASONS = [
    ("patch_failed", "hunk 1", "patch_failed", "The patch does not apply: hunk 1"),
    (
        "timeout",
        None,
        "timeout",
        (
            "It ran longer than its limit of 60 minutes;"
            " the plan PLAN sets none, so it is the server's DEFAULT_JOB_TIMEOUT_MIN."
        ),
    ),
    ("disk is full", "no space left", "agent_says", "The agent says: no space left"),
    ("disk is full", None, "agent_says", "The agent says: disk is full"),
    ("patch_failed", "a\0b", "patch_failed", "The patch does not apply: a\N{REPLACEMENT CHARACTER}b"),
]


@pytest.mark.parametrize(("reason", "message", "stored", "sentence"), TOLD_REASONS)
def test_the_agents_reason_is_kept_and_put_into_words(
    session: Session, reason: str, message: str | None, stored: str, sentence: str
) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    agents.tell(session, step, StepReport(status="finished", result="failed", reason=reason, message=message))

    session.expire_all()
    (failure,) = queries.failures_of(session, [build.id])[build.id]
    assert failure.reason == stored
    assert reasons.sentence(failure.reason, failure.data) == sentence.replace("PLAN", step.job.label)


def test_a_step_that_left_reports_behind_ends_when_they_are_read(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, agents.JUNIT)

    agents.end(session, step)

    assert agents.state(step) == (Status.COLLECTING_RESULTS, Result.PASSED)
    assert agents.state(build) == (Status.COLLECTING_RESULTS, Result.UNKNOWN)
    report.results_collected(session, step.id, [])
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_report_repeated_while_results_are_read_changes_nothing(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.leave_behind(session, step, agents.JUNIT)
    agents.end(session, step)

    assert agents.end(session, step)
    assert step.status == Status.COLLECTING_RESULTS


def test_an_aborted_step_is_over_at_once_whatever_it_left_behind(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.leave_behind(session, step, agents.JUNIT)

    agents.tell(session, step, ABORTED)

    assert agents.state(step) == (Status.FINISHED, Result.ABORTED)


FOUND = [
    (Result.PASSED, [], Result.PASSED),
    (Result.PASSED, [Result.FAILED], Result.FAILED),
    (Result.PASSED, [Result.FAILED, Result.INFRA_FAILED], Result.INFRA_FAILED),
    (Result.FAILED, [Result.INFRA_FAILED], Result.FAILED),
    (Result.INFRA_FAILED, [], Result.INFRA_FAILED),
]


@pytest.mark.parametrize(("told", "found", "expected"), FOUND)
def test_what_is_found_in_the_results_can_only_make_it_worse(
    session: Session, told: Result, found: list[Result], expected: Result
) -> None:
    step = agents.a_taken_step(session)
    agents.await_results(session, step, told)
    problems = [Problem(Reason(f"reason {number}"), result) for number, result in enumerate(found)]

    report.results_collected(session, step.id, problems)

    assert agents.state(step) == (Status.FINISHED, expected)


def test_results_of_a_step_that_is_over_change_nothing(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.end(session, step)

    report.results_collected(session, step.id, [Problem(Reason("test_failures", {"count": 1}))])

    assert step.result == Result.PASSED
    assert agents.reasons_of(session, step.job.build_id) == []


def test_the_patch_of_a_step_is_for_its_own_node(session: Session) -> None:
    build = factories.a_build(session)
    build.source_id = factories.a_source(session, build.project, patch=b"diff").id
    step = agents.a_taken_step(session, build)
    assert step.node_id is not None

    found = report.patch_of_step(session, step.node_id, step.id)

    assert projects.patch(session, found).diff == b"diff"
    with pytest.raises(NotFound):
        report.patch_of_step(session, factories.a_node(session).id, step.id)


def test_a_step_without_a_patch_has_none(session: Session) -> None:
    step = agents.a_taken_step(session)
    assert step.node_id is not None

    with pytest.raises(NotFound):
        report.patch_of_step(session, step.node_id, step.id)
