"""Tests that ran in the last builds that passed, and not in this one."""

import pytest
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents, collecting

from changes.builds import reasons, retry, second_look
from changes.builds.models import Build, FailureReason
from changes.builds.reasons import Reason
from changes.builds.rules import ReplaceLimits, Result
from changes.projects import plan_options
from changes.projects.models import Plan, Project, Revision, Source
from changes.results import collect, quarantine, testruns, vanished

PATCH = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-o\n+n\n"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


@pytest.fixture
def plan(session: Session, project: Project) -> Plan:
    return factories.a_plan(session, project, {"commands": ["make"]})


def choose(session: Session, plan: Plan, way: str) -> None:
    plan_options.change(session, plan.id, plan_options.OF_PLANS, {plan_options.VANISHED_TESTS: way})


def junit(*names: str) -> bytes:
    cases = "".join(f'<testcase classname="t" name="{name}" time="1"/>' for name in names)
    return f"<testsuite>{cases}</testsuite>".encode()


def a_commit(session: Session, project: Project, number: int = 1, *, branch: str = "main") -> Source:
    source = factories.a_source(session, project, sha=f"{number:040x}")
    revision = session.get_one(Revision, (project.repository_id, source.revision_sha))
    revision.branches = [branch]
    session.flush()
    return source


def ran(session: Session, project: Project, *names: str, source: Source | None = None) -> Build:
    """A build whose one step passes and reports these tests."""
    build = collecting.build_of(session, project, source or a_commit(session, project))
    (step,) = collecting.take(session, build)
    if names:
        agents.leave_behind(session, step, junit(*names))
    agents.end(session, step)
    collect.collect_step(step.id)
    session.expire_all()
    return build


def said(session: Session, build: Build) -> list[tuple[str, str]]:
    found = session.query(FailureReason).filter_by(build_id=build.id).order_by(FailureReason.id)
    return [(each.reason, reasons.sentence(each.reason, each.data)) for each in found]


def test_a_test_that_ran_before_and_not_now_is_told_and_fails_nothing(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")

    build = ran(session, project, "a")

    assert build.result == Result.PASSED
    assert said(session, build) == [
        ("vanished_tests", "1 test ran in the last build that passed and not in this one: t.b.")
    ]


def test_nothing_is_told_while_all_tests_run(session: Session, project: Project, plan: Plan) -> None:
    ran(session, project, "a")

    assert said(session, ran(session, project, "a", "b")) == []


def test_however_many_patches_were_built_since_a_commit_is_compared(
    session: Session, project: Project, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vanished, "LOOKED_AT", (2, 10))
    ran(session, project, "a", "b")
    patch = factories.a_source(session, project, sha=f"{1:040x}", patch=PATCH)
    for _ in range(3):
        ran(session, project, "a", "b", source=patch)

    told = [said(session, ran(session, project, "a", source=each)) for each in (patch, None)]

    assert [[reason for reason, _ in each] for each in told] == [["vanished_tests"], ["vanished_tests"]]


def test_what_ran_in_an_attempt_that_was_lost_did_not_run(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")
    build = collecting.build_of(session, project, a_commit(session, project))
    (lost,) = collecting.take(session, build)
    testruns.store(session, lost, [finished.a_test("t.a"), finished.a_test("t.b")])
    why = Reason(reasons.AGENT_LOST, {"node": "n", "silence_s": 60})
    retry.replace_lost_step(session, lost, why, ReplaceLimits(2, 2))
    (again,) = collecting.take(session, build)
    agents.leave_behind(session, again, junit("a"))

    agents.end(session, again)
    collect.collect_step(again.id)

    assert said(session, build)[-1] == (
        "vanished_tests",
        "1 test ran in the last build that passed and not in this one: t.b.",
    )


def test_a_plan_may_fail_for_it(session: Session, project: Project, plan: Plan) -> None:
    ran(session, project, "a", "b")
    choose(session, plan, "fail")

    build = ran(session, project, "a")

    assert build.result == Result.FAILED
    assert [reason for reason, _ in said(session, build)] == ["missing_tests"]


def test_a_plan_may_not_care(session: Session, project: Project, plan: Plan) -> None:
    ran(session, project, "a", "b")
    choose(session, plan, "off")

    assert said(session, ran(session, project, "a")) == []


def test_a_build_that_ran_no_tests_and_passed_is_told(session: Session, project: Project, plan: Plan) -> None:
    ran(session, project, "a", "b")

    build = ran(session, project)

    ((reason, sentence),) = said(session, build)
    assert (reason, sentence.startswith("It ran no tests and passed, while 2 tests ran in")) == (
        "vanished_tests",
        True,
    )


def test_only_what_ran_in_each_of_the_last_builds_is_expected(
    session: Session, project: Project, plan: Plan
) -> None:
    for names in (("a", "b"), ("a",), ("a", "c")):
        ran(session, project, *names)

    assert said(session, ran(session, project, "a")) == []


def test_what_was_taken_away_is_told_until_as_many_builds_passed_without_it(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")

    told = [len(said(session, ran(session, project, "a"))) for _ in range(2)]

    assert told == [1, 0]


def test_whoever_takes_tests_away_on_purpose_says_so_in_the_commit(
    session: Session, project: Project, plan: Plan
) -> None:
    choose(session, plan, "fail")
    ran(session, project, "a", "b", "c")
    source = a_commit(session, project, 2)
    source.revision.message = "Drop what is old\n\nRemoves-Tests: t.[bc]\n"
    session.flush()

    build = ran(session, project, "a", source=source)

    assert (build.result, said(session, build)) == (Result.PASSED, [])


def test_tests_of_another_branch_are_not_expected(session: Session, project: Project, plan: Plan) -> None:
    ran(session, project, "a", "b", source=a_commit(session, project, 1, branch="main"))

    build = ran(session, project, "a", source=a_commit(session, project, 2, branch="stable"))

    assert said(session, build) == []


def test_a_patch_is_compared_with_the_commit_that_it_changes(
    session: Session, project: Project, plan: Plan
) -> None:
    old, new = a_commit(session, project, 1), a_commit(session, project, 2)
    ran(session, project, "a", source=old)
    ran(session, project, "a", "b", source=new)

    of_old, of_new = (
        ran(session, project, "a", source=factories.a_source(session, project, sha=sha, patch=PATCH))
        for sha in (old.revision_sha, new.revision_sha)
    )

    assert (said(session, of_old), len(said(session, of_new))) == ([], 1)


FAILED = b'<testsuite><testcase classname="t" name="a"><failure>no</failure></testcase></testsuite>'


def failed_with(session: Session, project: Project, report: bytes) -> Build:
    """A build whose runner left this behind and ended with an error."""
    build = collecting.build_of(session, project, a_commit(session, project))
    (step,) = collecting.take(session, build)
    agents.leave_behind(session, step, report)
    agents.end(session, step, code=1)
    collect.collect_step(step.id)
    return build


def test_a_build_that_fails_for_another_reason_is_not_asked_for_its_tests(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")
    build = failed_with(session, project, junit("a"))

    assert [reason for reason, _ in said(session, build)] == ["command_failed"]


def test_a_runner_that_stopped_at_a_new_failure_lost_no_tests(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")
    options = {plan_options.VANISHED_TESTS: "fail", plan_options.LOOK_TIMES: "1"}
    plan_options.change(session, plan.id, plan_options.OF_PLANS, options)
    build = failed_with(session, project, FAILED)

    step, _look = factories.steps_of(session, build)
    assert second_look.is_checking(step)
    assert "missing_tests" not in agents.reasons_of(session, build.id)


@pytest.mark.parametrize(
    ("way", "comes_to"),
    [("warn", (Result.PASSED, "vanished_tests")), ("fail", (Result.FAILED, "missing_tests"))],
)
def test_a_look_at_the_failure_does_not_make_up_for_what_never_ran(
    session: Session, project: Project, plan: Plan, way: str, comes_to: tuple[Result, str]
) -> None:
    ran(session, project, "a", "b")
    options = {plan_options.VANISHED_TESTS: way, plan_options.LOOK_TIMES: "1"}
    plan_options.change(session, plan.id, plan_options.OF_PLANS, options)
    build = failed_with(session, project, FAILED)
    (look,) = collecting.take(session, build)
    agents.leave_behind(session, look, junit("a"))

    agents.end(session, look)
    collect.collect_step(look.id)

    session.expire_all()
    ((reason, text),) = [(reason, text) for reason, text in said(session, build) if "t.b" in text]
    assert (build.result, reason) == comes_to
    assert text == "1 test ran in the last build that passed and not in this one: t.b."


def in_quarantine(session: Session, project: Project, name: str) -> None:
    wanted = quarantine.Wanted([name], owner="zoe", reason="races with the clock")
    quarantine.add(session, project, wanted, by="ravi@example.com")


def test_a_runner_that_crashed_lost_no_tests_of_a_project_that_has_some_in_quarantine(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b", "c")
    in_quarantine(session, project, "t.c")
    build = failed_with(session, project, junit("a"))

    assert [reason for reason, _ in said(session, build)] == ["command_failed"]


def test_what_vanished_beside_a_failure_that_is_excused_is_told(
    session: Session, project: Project, plan: Plan
) -> None:
    ran(session, project, "a", "b")
    in_quarantine(session, project, "t.a")
    build = failed_with(session, project, FAILED)

    assert build.result == Result.PASSED
    assert [reason for reason, _ in said(session, build)] == ["vanished_tests"]


def test_only_so_many_patterns_of_so_many_letters_are_taken_from_a_message() -> None:
    many = "\n".join(f"Removes-Tests: t.{number}" for number in range(vanished.PATTERNS_MAX + 5))

    assert len(vanished.announced(many)) == vanished.PATTERNS_MAX
    assert vanished.announced("removes-tests: " + "*" * 1000 + "\nRemoves-Tests:\n") == []
