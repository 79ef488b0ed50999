"""Provisional red: what fails newly is run again alone, and only then the verdict is final."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import again, cancel, queries, reasons, second_look, settle, sweep
from changes.builds.create import NewBuild, create_build
from changes.builds.events import BuildFailing, BuildFinished
from changes.builds.models import Build, FailureReason, JobStep
from changes.builds.rules import Origin, Result, Status
from changes.projects import plan_options
from changes.projects import queries as projects
from changes.projects.models import Project
from changes.projects.plan_options import OF_PLANS
from changes.protocol import StepReport
from changes.results import collect, models, quarantine, statistics, testdays, testruns

COMMAND = "run-alone {tests}"
LIMITS = sweep.Limits(silence_s=60, replacements=0)


def a_build(session: Session, project: Project | None = None, *, sha: str = "a" * 40, **said: str) -> Build:
    """Of a plan that looks twice; its options may be given."""
    project = project or factories.a_project(session)
    plan = factories.a_plan(session, project, {"commands": ["make", "run-all"]})
    options = {"tests.second-look": "1", "tests.second-look-command": COMMAND} | {
        f"tests.second-look-{name.replace('_', '-')}" if name != "times" else "tests.second-look": value
        for name, value in said.items()
    }
    plan_options.change(session, plan.id, OF_PLANS, options)
    source = factories.a_source(session, project, sha=sha)
    asked = NewBuild(source, ids.new(), "A build", sha[:12], "", None)
    return create_build(session, project, asked)


def report_of(results: Mapping[str, bool]) -> bytes:
    cases = "".join(
        f'<testcase name="{name}">{"" if passed else "<failure>no</failure>"}</testcase>'
        for name, passed in results.items()
    )
    return f"<testsuite>{cases}</testsuite>".encode()


def run(session: Session, step: JobStep, results: Mapping[str, bool], *, codes: tuple[int, ...] = ()) -> None:
    """As an agent would: takes it, leaves a report behind and ends; then a worker reads that."""
    factories.give_to(session, step, factories.a_node(session))
    agents.leave_behind(session, step, report_of(results))
    told = agents.ended(session, step)
    codes = codes or (0, 0 if all(results.values()) else 1)
    commands = [
        type(each)(id=each.id, status="finished", return_code=code)
        for each, code in zip(told.commands, codes, strict=False)
    ]
    report = StepReport(status="finished", result="failed" if any(codes) else "passed", commands=commands)
    agents.tell(session, step, report)
    collect.collect_step(step.id)
    session.expire_all()


def first(session: Session, build: Build) -> JobStep:
    return factories.steps_of(session, build)[0]


def look(session: Session, build: Build) -> JobStep:
    """The newest one."""
    found = [step for step in factories.steps_of(session, build) if second_look.is_look(step)]
    return found[-1]


def sentences(session: Session, build: Build) -> list[str]:
    found = queries.failures_of(session, [build.id])[build.id]
    return [reasons.sentence(each.reason, each.data) for each in found]


@pytest.fixture
def build(session: Session) -> Build:
    """Of which one test has failed, and is looked at again."""
    made = a_build(session)
    run(session, first(session, made), {"a.works": True, "a.breaks": False})
    return made


def test_a_new_failure_is_not_final_before_it_was_looked_at_again(session: Session, build: Build) -> None:
    assert agents.state(first(session, build)) == (Status.COLLECTING_RESULTS, Result.UNKNOWN)
    assert (build.is_finished, build.result) == (False, Result.UNKNOWN)
    assert look(session, build).origin == Origin.SECOND_LOOK


def test_what_passes_is_a_flake_also_when_it_came_into_quarantine_meanwhile(
    session: Session, build: Build
) -> None:
    project = session.get_one(Project, build.project_id)
    wanted = quarantine.Wanted(["a.breaks"], owner="zoe", reason="races", force=True)
    quarantine.add(session, project, wanted, by="zoe")

    run(session, look(session, build), {"a.breaks": True})

    assert build.result == Result.PASSED


def test_nobody_is_told_of_a_failure_that_is_still_checked(session: Session) -> None:
    agents.listen(BuildFailing, BuildFinished)
    build = a_build(session)

    run(session, first(session, build), {"a.breaks": False})

    assert [agents.announced(session, build.id, kind) for kind in (BuildFailing, BuildFinished)] == [0, 0]


def test_the_look_runs_only_what_failed_newly_by_the_command_of_the_plan(session: Session) -> None:
    build = a_build(session)

    run(session, first(session, build), {"a.works": True, "it's; rm -rf": False})

    commands = agents.commands_of(session, look(session, build))
    assert [each.script for each in commands] == ["make", "run-alone 'it'\"'\"'s; rm -rf'"]
    assert commands[1].env["CHANGES_TESTS"] == "it's; rm -rf"


def test_without_a_command_of_its_own_the_whole_step_is_run_once_more(session: Session) -> None:
    build = a_build(session, command="")

    run(session, first(session, build), {"a.breaks": False})

    commands = agents.commands_of(session, look(session, build))
    assert [each.script for each in commands] == ["make", "run-all"]


def test_what_never_ran_is_run_with_the_look(session: Session) -> None:
    build = a_build(session)

    run(session, first(session, build), {"a.breaks": False}, codes=(1,))

    commands = agents.commands_of(session, look(session, build))
    assert [each.script for each in commands] == ["make", "run-all"]


def test_what_passes_alone_was_a_flake_and_the_build_is_green(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": True})

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 2}
    assert sentences(session, build) == []
    assert agents.reasons_of(session, build.id) == [reasons.SECOND_LOOK_PASSED]


def test_a_flake_tells_how_often_it_ran_and_what_it_said_at_first(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": True})

    flake = session.execute(select(models.TestRun).where(models.TestRun.reruns > 0)).scalar_one()
    numbers = statistics.of_items(session, [build.id])[build.id]
    assert flake.reruns == 1
    assert testruns.messages(session, [flake.id])[flake.id].endswith("no")
    assert (numbers["test_failures"], numbers["test_rerun_count"], numbers["test_count"]) == (0, 1, 2)


def test_what_fails_again_is_a_failure(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": False})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1, Result.FAILED: 1}
    assert sentences(session, build) == [
        "The command run-all ended with exit code 1.",
        "1 test failed.",
        "1 test has not passed when run again alone: a.breaks.",
    ]


def test_a_look_that_fails_in_another_way_says_so_and_blames_no_test_that_passed(
    session: Session, build: Build
) -> None:
    run(session, look(session, build), {"a.breaks": True, "a.works": False})

    assert build.result == Result.FAILED
    told = session.execute(select(FailureReason.reason, FailureReason.step_id)).all()
    mine, its_look = first(session, build).id, look(session, build).id
    assert set(told) == {
        (reasons.SECOND_LOOK_PASSED, mine),
        (reasons.COMMAND_FAILED, its_look),
        (reasons.TEST_FAILURES, its_look),
    }


def test_a_look_that_passes_without_having_run_the_test_proves_nothing(
    session: Session, build: Build
) -> None:
    run(session, look(session, build), {"another": True})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_look_that_fails_though_the_test_passed_proves_nothing(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": True}, codes=(1, 0))

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_look_that_the_machinery_lost_is_its_failure(session: Session, build: Build) -> None:
    lost = factories.give_to(session, look(session, build), factories.a_node(session))
    agents.be_silent(session, lost, 600)

    sweep.settle_silent(session, sweep.SILENT, lost.id, LIMITS)

    assert agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    assert reasons.SECOND_LOOK_LOST in agents.reasons_of(session, build.id)


def test_a_lost_look_is_made_again_first(session: Session, build: Build) -> None:
    lost = factories.give_to(session, look(session, build), factories.a_node(session))
    agents.be_silent(session, lost, 600)
    sweep.settle_silent(session, sweep.SILENT, lost.id, sweep.Limits(silence_s=60, replacements=2))

    run(session, look(session, build), {"a.breaks": True})

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_look_that_is_cancelled_leaves_the_first_finding(session: Session, build: Build) -> None:
    cancel.cancel_step(session, look(session, build).id)

    assert agents.state(first(session, build)) == (Status.FINISHED, Result.FAILED)
    assert build.is_finished


def test_cancelling_the_step_cancels_its_look(session: Session, build: Build) -> None:
    cancel.cancel_step(session, first(session, build).id)

    assert agents.state(look(session, build)) == (Status.FINISHED, Result.ABORTED)
    assert agents.state(build) == (Status.FINISHED, Result.ABORTED)


def test_cancelling_the_build_ends_both(session: Session, build: Build) -> None:
    cancel.cancel_build(session, build)

    session.expire_all()
    assert {agents.state(step) for step in factories.steps_of(session, build)} == {
        (Status.FINISHED, Result.ABORTED)
    }


def test_what_waits_for_its_look_is_not_taken_for_forgotten(session: Session, build: Build) -> None:
    agents.be_past_every_limit(session, first(session, build))

    assert first(session, build).id not in sweep.find(session, sweep.UNCOLLECTED, LIMITS)


def test_reading_the_step_a_second_time_changes_nothing(session: Session, build: Build) -> None:
    collect.collect_step(first(session, build).id)

    assert len(factories.steps_of(session, build)) == 2


def test_a_plan_without_the_option_fails_at_once(session: Session) -> None:
    build = a_build(session, times="0")

    run(session, first(session, build), {"a.breaks": False})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_more_failures_than_the_plan_allows_are_final_at_once(session: Session) -> None:
    build = a_build(session, tests_max="1")

    run(session, first(session, build), {"a.breaks": False, "b.breaks": False})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_failure_of_the_base_is_no_news(session: Session) -> None:
    project = factories.a_project(session)
    base = a_build(session, project, times="0")
    run(session, first(session, base), {"a.breaks": False})
    build = a_build_after(session, project)

    run(session, first(session, build), {"a.breaks": False})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_beside_a_failure_that_stays_only_the_new_one_is_looked_at(session: Session) -> None:
    project = factories.a_project(session)
    run(session, first(session, a_build(session, project, times="0")), {"old": False, "new": True})
    build = a_build_after(session, project)
    run(session, first(session, build), {"old": False, "new": False})

    run(session, look(session, build), {"new": True})

    assert agents.commands_of(session, look(session, build))[1].script == "run-alone new"
    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1, Result.FAILED: 1}


def a_build_after(session: Session, project: Project) -> Build:
    """Of another commit of the same project, by the same plan, which now looks twice."""
    (plan,) = projects.active_plans(session, project)
    plan_options.change(session, plan.id, OF_PLANS, {"tests.second-look": "1"})
    source = factories.a_source(session, project, sha="b" * 40)
    return create_build(session, project, NewBuild(source, ids.new(), "Another", "b", "", None))


def test_what_is_wrong_besides_its_tests_is_final_at_once(session: Session) -> None:
    build = a_build(session)
    step = first(session, build)
    agents.leave_behind(session, step, b"<testsuite", "broken.junit.xml")

    run(session, step, {"a.breaks": False})

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_step_that_ran_into_its_limit_has_failed(session: Session) -> None:
    build = a_build(session)
    step = factories.give_to(session, first(session, build), factories.a_node(session))
    agents.leave_behind(session, step, report_of({"a.breaks": False}))

    agents.tell(session, step, StepReport(status="finished", result="failed", reason="timeout"))
    collect.collect_step(step.id)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_it_is_looked_as_often_as_the_plan_says_at_what_is_left(session: Session) -> None:
    build = a_build(session, times="2")
    run(session, first(session, build), {"a": False, "b": False})
    run(session, look(session, build), {"a": True, "b": False})
    assert agents.commands_of(session, look(session, build))[1].script == "run-alone b"

    run(session, look(session, build), {"b": True})

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert [step.attempt for step in factories.steps_of(session, build)] == [1, 1, 2]


def test_doing_it_again_does_all_of_the_step_and_forgets_the_look(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": False})

    again.repeat_failed(session, build)

    newest = [step for step in factories.steps_of(session, build) if step.replacement_id is None]
    assert [(step.label, step.attempt) for step in newest] == [(first(session, build).label, 2)]
    assert second_look.STATE not in newest[0].data


def test_a_repeated_step_has_a_look_of_its_own(session: Session, build: Build) -> None:
    run(session, look(session, build), {"a.breaks": False})
    again.repeat_failed(session, build)
    newest = next(step for step in factories.steps_of(session, build) if step.replacement_id is None)
    run(session, newest, {"a.breaks": False})

    run(session, look(session, build), {"a.breaks": True})

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_the_sums_of_the_day_have_a_flake_as_it_ended(session: Session, build: Build) -> None:
    testdays.sum_up(session)

    run(session, look(session, build), {"a.breaks": True})
    testdays.sum_up(session)

    session.expire_all()
    days = list(session.execute(select(models.TestDay)).scalars())
    assert (sum(day.failed for day in days), sum(day.flaky for day in days)) == (0, 1)
    assert session.execute(select(models.TestBatch.is_summed_up)).scalar_one()


def test_the_counts_of_the_wholes_are_those_of_their_rows(session: Session, build: Build) -> None:
    for step in factories.steps_of(session, build):
        phase = settle.fresh_phase(session, step.phase_id)
        assert phase.tally == {"4.0": 1, "6.0": 1}


ENDINGS = ("passes", "fails", "is lost", "is cancelled", "step is cancelled", "build is cancelled")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("times", ["1", "2"])
def test_however_looks_end_the_build_ends_with_the_last_of_them_and_never_before(
    session: Session, times: str, ending: str
) -> None:
    build = a_build(session, times=times)
    run(session, first(session, build), {"a": False})
    for _ in range(int(times) - 1):
        run(session, look(session, build), {"a": False})
        assert not build.is_finished

    end_look(session, build, ending)

    session.expire_all()
    steps = factories.steps_of(session, build)
    assert build.is_finished
    assert {step.status for step in steps} == {Status.FINISHED}
    assert (build.result == Result.PASSED) is (ending == "passes")


def end_look(session: Session, build: Build, ending: str) -> None:
    newest = look(session, build)
    if ending == "passes":
        run(session, newest, {"a": True})
    elif ending == "fails":
        run(session, newest, {"a": False})
    elif ending == "is lost":
        agents.be_silent(session, factories.give_to(session, newest, factories.a_node(session)), 600)
        sweep.settle_silent(session, sweep.SILENT, newest.id, LIMITS)
    elif ending == "build is cancelled":
        cancel.cancel_build(session, build)
    else:
        ended = newest if ending == "is cancelled" else first(session, build)
        cancel.cancel_step(session, ended.id)
