"""Builds that ran elsewhere: what is told of them is stored once, and nobody here runs them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from tests.factories import A_SHA, a_build, a_project, steps_of

from changes.base import clock
from changes.base.db import Database
from changes.base.errors import Conflict, Gone, Invalid, NotFound
from changes.builds import again, cancel, hearing, outside, outside_report, queries, reasons, sweep, tasks
from changes.builds.models import Build, JobStep, OutsideBuild
from changes.builds.outside import Told
from changes.builds.outside_report import CommandTold, Ending
from changes.builds.rules import Result, Status
from changes.projects.models import Project, Revision

LIMITS = sweep.Limits(silence_s=1, replacements=6)


def told(external_id: str = "run 1", *jobs: str, **more: str) -> Told:
    return Told(external_id=external_id, sha=A_SHA, jobs=jobs or ("build",), **more)  # type: ignore[arg-type]


def a_foreign_build(session: Session, *jobs: str) -> Build:
    return outside.hear(session, a_project(session), told("run 1", *jobs))


def a_running_step(session: Session, *jobs: str) -> JobStep:
    build = a_foreign_build(session, *jobs)
    step = steps_of(session, build)[0]
    outside_report.start(session, step.id)
    return step


def build_of(session: Session, step: JobStep) -> Build:
    return session.get_one(Build, step.job.build_id, populate_existing=True)


def fall_silent(session: Session) -> None:
    session.execute(update(OutsideBuild).values(date_heard=func.now() - timedelta(minutes=361)))


def texts(session: Session, build: Build) -> list[str]:
    return [each.reason for each in queries.failures_of(session, [build.id])[build.id]]


# --- one build per id --------------------------------------------------------------------


def test_the_same_id_told_again_is_the_same_build(session: Session) -> None:
    project = a_project(session)

    first = outside.hear(session, project, told("run 7"))
    again = outside.hear(session, project, told("run 7"))

    assert first.id == again.id
    assert len(steps_of(session, first)) == 1


def test_another_project_may_use_the_same_id(session: Session) -> None:
    first = outside.hear(session, a_project(session), told("run 7"))
    second = outside.hear(session, a_project(session), told("run 7"))

    assert first.id != second.id


def test_what_is_told_later_replaces_what_was_told_and_the_rest_stays(session: Session) -> None:
    project = a_project(session)
    outside.hear(session, project, told("run 7", label="First", url="https://ci.example.com/7"))

    build = outside.hear(session, project, told("run 7", label="Second"))

    row = session.get_one(OutsideBuild, build.id, populate_existing=True)
    assert (build.label, row.url) == ("Second", "https://ci.example.com/7")


def test_an_id_that_was_told_for_another_commit_is_refused(session: Session) -> None:
    project = a_project(session)
    outside.hear(session, project, told("run 7"))

    with pytest.raises(Conflict, match="for the commit aaaa"):
        outside.hear(session, project, Told(external_id="run 7", sha="b" * 40, jobs=["build"]))


def test_two_first_reports_at_one_moment_make_one_build(database: Database) -> None:
    with database.transaction() as session:
        project_id = a_project(session).id

    async def both() -> list[UUID]:
        return await asyncio.gather(*(asyncio.to_thread(report) for _ in range(4)))

    def report() -> UUID:
        with database.transaction() as session:
            return outside.hear(session, session.get_one(Project, project_id), told("run 7")).id

    assert len(set(asyncio.run(both()))) == 1


def test_a_commit_that_nobody_here_can_reach_is_known_as_far_as_it_was_told(session: Session) -> None:
    build = outside.hear(
        session, a_project(session), told(branch="main", message="Mend it\n\nIt was broken.")
    )

    revision = session.get_one(Revision, (build.source.repository_id, A_SHA))
    assert (revision.subject, revision.branches, revision.config) == ("Mend it", ["main"], None)
    assert build.label == "Mend it"


# --- nobody here runs it -----------------------------------------------------------------


def test_the_sweep_for_lost_agents_leaves_it_alone(session: Session) -> None:
    step = a_running_step(session)
    step.date_started = clock.now() - timedelta(days=30)
    session.flush()

    assert step.id not in sweep.find(session, sweep.SILENT, LIMITS)
    assert step.id not in sweep.find(session, sweep.OVERDUE, LIMITS)


def test_a_step_of_ours_is_not_theirs_to_speak_of(session: Session) -> None:
    (step,) = steps_of(session, a_build(session))

    with pytest.raises(NotFound):
        outside.heard_step(session, step.id)


@pytest.mark.parametrize("repeat", [again.restart, again.repeat_failed])
def test_nobody_here_can_do_again_what_ran_elsewhere(
    session: Session, repeat: Callable[[Session, Build], object]
) -> None:
    step = a_running_step(session)
    outside_report.end(session, step.id, Ending(result=Result.FAILED))

    with pytest.raises(Conflict, match="ran elsewhere"):
        repeat(session, build_of(session, step))
    assert steps_of(session, build_of(session, step)) == [step]


# --- how it ends -------------------------------------------------------------------------


@pytest.mark.parametrize("result", [Result.PASSED, Result.FAILED, Result.INFRA_FAILED, Result.SKIPPED])
def test_the_verdict_that_was_told_is_the_verdict(session: Session, result: Result) -> None:
    step = a_running_step(session)

    outside_report.end(session, step.id, Ending(result=result))

    build = build_of(session, step)
    assert (build.status, build.result) == (Status.FINISHED, result)


def test_a_build_ends_with_the_last_of_its_jobs_and_the_worst_decides(session: Session) -> None:
    build = a_foreign_build(session, "unit", "lint")
    unit, lint = steps_of(session, build)

    outside_report.end(session, unit.id, Ending(result=Result.FAILED))
    after_one = build_of(session, unit).status
    outside_report.end(session, lint.id, Ending(result=Result.PASSED))

    assert after_one != Status.FINISHED
    assert build_of(session, lint).result == Result.FAILED


def test_the_same_ending_again_changes_nothing(session: Session) -> None:
    step = a_running_step(session)
    outside_report.end(session, step.id, Ending(result=Result.PASSED))
    ended_at = step.date_finished

    outside_report.end(session, step.id, Ending(result=Result.PASSED))

    assert step.date_finished == ended_at


def test_another_ending_of_the_same_is_refused(session: Session) -> None:
    step = a_running_step(session)
    outside_report.end(session, step.id, Ending(result=Result.FAILED))

    with pytest.raises(Gone, match="an external_id of its own"):
        outside_report.end(session, step.id, Ending(result=Result.PASSED))
    assert build_of(session, step).result == Result.FAILED


def test_without_verdict_and_without_reports_it_cannot_end(session: Session) -> None:
    step = a_running_step(session)

    with pytest.raises(Invalid, match="the verdict must be told"):
        outside_report.end(session, step.id, Ending())


def test_a_job_that_an_ended_build_never_had_is_refused(session: Session) -> None:
    project = a_project(session)
    step = steps_of(session, outside.hear(session, project, told("run 7", "unit")))[0]
    outside_report.end(session, step.id, Ending(result=Result.PASSED))

    with pytest.raises(Conflict, match="Name all jobs"):
        outside.hear(session, project, told("run 7", "lint"))


def test_its_times_are_those_it_ran_at(session: Session) -> None:
    step = a_running_step(session)
    step.date_started = None
    finished = clock.now() - timedelta(hours=3)

    ending = Ending(result=Result.PASSED, started=finished - timedelta(minutes=5), finished=finished)
    outside_report.end(session, step.id, ending)

    build = build_of(session, step)
    assert (build.date_finished, step.duration_ms) == (finished, 300_000)


def test_a_clock_that_is_wrong_over_there_makes_no_build_of_tomorrow(session: Session) -> None:
    step = a_running_step(session)
    tomorrow = clock.now() + timedelta(days=1)

    outside_report.end(session, step.id, Ending(result=Result.PASSED, finished=tomorrow))

    assert step.date_finished is not None
    assert step.date_finished <= clock.now()
    assert (step.duration_ms or 0) >= 0


def test_a_failure_is_told_in_the_words_that_came_with_it(session: Session) -> None:
    step = a_running_step(session)

    outside_report.end(session, step.id, Ending(result=Result.FAILED, message="Out of paper"))

    (why,) = queries.failures_of_step(session, step)
    assert (why.reason, why.data) == ("outside_says", {"message": "Out of paper"})


def test_a_command_that_failed_says_so(session: Session) -> None:
    step = a_running_step(session)
    commands = [CommandTold("make", "make", 0), CommandTold("test", "make test", 2, 1500)]

    outside_report.end(session, step.id, Ending(result=Result.FAILED, commands=commands))

    (why,) = queries.failures_of_step(session, step)
    assert (why.reason, why.data["code"]) == ("command_failed", 2)
    assert [c.duration_ms for c in queries.commands_of(session, [step.id])] == [0, 1500]


def test_a_cancelled_build_tells_whoever_runs_it(session: Session) -> None:
    step = a_running_step(session)
    cancel.cancel_build(session, build_of(session, step))
    session.expire_all()

    with pytest.raises(Gone, match="was cancelled"):
        outside_report.go_on(session, step.id)


# --- silence -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server has been listening all the time."""
    monkeypatch.setattr(hearing, "could_hear", lambda _session, *, for_s: for_s > 0)


def test_nobody_is_silent_while_no_server_listened(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "could_hear", lambda _session, *, for_s: for_s <= 0)
    step = a_running_step(session)
    fall_silent(session)

    tasks.sweep_outside()

    assert build_of(session, step).status == Status.IN_PROGRESS


def test_a_build_that_nobody_speaks_of_any_more_is_ended_with_the_reason(session: Session) -> None:
    step = a_running_step(session, "unit", "never begun")
    fall_silent(session)

    tasks.sweep_outside()

    build = build_of(session, step)
    assert (build.status, build.result) == (Status.FINISHED, Result.INFRA_FAILED)
    assert texts(session, build) == ["outside_silent", "outside_silent"]
    assert [each.replacement_id for each in steps_of(session, build)] == [None, None]


def test_one_that_was_heard_of_lately_is_not(session: Session) -> None:
    step = a_running_step(session)
    fall_silent(session)
    outside.heard_step(session, step.id)

    tasks.sweep_outside()

    assert build_of(session, step).status == Status.IN_PROGRESS


def test_what_had_passed_before_the_silence_stays_passed(session: Session) -> None:
    build = a_foreign_build(session, "unit", "lint")
    unit, lint = steps_of(session, build)
    outside_report.end(session, unit.id, Ending(result=Result.PASSED))
    fall_silent(session)

    tasks.sweep_outside()

    session.expire_all()
    assert (unit.result, lint.result) == (Result.PASSED, Result.INFRA_FAILED)


def test_the_reason_is_a_sentence(session: Session) -> None:
    step = a_running_step(session)
    fall_silent(session)
    tasks.sweep_outside()

    (why,) = queries.failures_of_step(session, step)

    assert reasons.sentence(why.reason, why.data) == (
        "Where it ran nothing was heard of it for 360 minutes, so how it ended is not known"
        " (limit: OUTSIDE_SILENCE_MAX_MIN in the settings of the server)."
    )
    assert session.execute(select(func.count()).select_from(JobStep)).scalar_one() == 1
