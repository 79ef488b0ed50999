"""Tests that were collected against tests that shards reported."""

import json

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.builds import reasons
from changes.builds.models import BazelTarget, Build, FailureReason, JobStep
from changes.builds.rules import Result, Status
from changes.results import collect, shards

TWO_SHARDS = {**collecting.COLLECT_TESTS, "max_executors": 2}


def junit(*names: str) -> bytes:
    cases = "".join(f'<testcase classname="t" name="{name}" time="1"/>' for name in names)
    return f"<testsuite>{cases}</testsuite>".encode()


def sharded(session: Session, *names: str) -> tuple[Build, list[JobStep]]:
    """With one shard for each name, or two for more; in the order of their tests."""
    build = collecting.a_build_of(session, TWO_SHARDS)
    collecting.collect(session, build, collecting.tests_named(*names))
    shards = collecting.take(session, build)
    return build, sorted(shards, key=lambda each: str(each.data["tests"]))


def end(session: Session, step: JobStep, *reported: str) -> None:
    """The shard passes, as far as its agent can tell, and is read."""
    if reported:
        agents.leave_behind(session, step, junit(*reported))
    agents.end(session, step)
    collect.collect_step(step.id)
    session.expire_all()


def said(session: Session, build: Build) -> list[tuple[str, str]]:
    found = session.query(FailureReason).filter_by(build_id=build.id).order_by(FailureReason.id)
    return [(each.reason, reasons.sentence(each.reason, each.data)) for each in found]


def test_all_is_well_when_each_shard_reports_its_tests(session: Session) -> None:
    build, (first, second) = sharded(session, "t.a", "t.b")

    end(session, first, "a")
    end(session, second, "b")

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_collected_test_that_its_shard_did_not_report_fails_it_by_name(session: Session) -> None:
    build, (first, second) = sharded(session, "t.a", "t.b", "t.c", "t.d")
    end(session, first, *(name.removeprefix("t.") for name in first.data["tests"][:1]))

    assert first.result == Result.FAILED
    lacking = first.data["tests"][1]
    assert said(session, build) == [
        ("missing_tests", f"1 of 2 collected tests were not reported: {lacking}."),
    ]
    assert second.status != Status.FINISHED


def test_a_test_that_two_shards_reported_fails_the_later_one_and_both_runs_are_kept(session: Session) -> None:
    build, (first, second) = sharded(session, "t.a", "t.b")

    end(session, first, "a", "c")
    end(session, second, "b", "c")

    assert (first.result, second.result) == (Result.PASSED, Result.FAILED)
    assert said(session, build) == [
        ("duplicate_test_name", "1 test was reported by more than one shard: t.c"),
    ]


def test_the_same_test_in_an_attempt_that_was_lost_is_no_double(session: Session) -> None:
    _, (first, second) = sharded(session, "t.a", "t.b")
    end(session, first, "a")
    end(session, second, "b", "a")
    assert second.result == Result.FAILED

    first.replacement_id = second.id
    session.flush()

    assert shards.doubled(session, second) == []


def test_a_shard_without_a_report_fails_where_others_report(session: Session) -> None:
    build, (first, second) = sharded(session, "t.a", "t.b")

    end(session, first)
    assert first.result == Result.PASSED
    end(session, second, "b")

    assert second.result == Result.FAILED
    assert said(session, build) == [
        ("missing_tests", f"{first.label} passed and reported none of the collected tests: t.a."),
    ]


def test_where_no_shard_reports_anything_that_is_how_it_is_done_there(session: Session) -> None:
    build, (first, second) = sharded(session, "t.a", "t.b")

    end(session, first)
    end(session, second)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


EXPECTING = "plans: [{name: p, expect_tests: true, commands: [make]}]"


def test_a_step_of_a_plan_that_expects_tests_fails_without_any(session: Session) -> None:
    build = collecting.build_again(session, factories.a_project(session), EXPECTING)
    (step,) = collecting.take(session, build)

    end(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    ((reason, sentence),) = said(session, build)
    assert (reason, "build.expect-tests" in sentence) == ("missing_tests", True)


def test_only_the_last_step_of_a_plan_is_expected_to_report(session: Session) -> None:
    config = "plans: [{name: p, expect_tests: true, steps: [{commands: [a]}, {commands: [b]}]}]"
    build = collecting.build_again(session, factories.a_project(session), config)

    (first,) = collecting.take(session, build)
    end(session, first)
    (last,) = collecting.take(session, build)
    end(session, last, "a")

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_file_may_name_the_tests_instead_of_the_output(session: Session) -> None:
    build = collecting.a_build_of(session, TWO_SHARDS)
    (step,) = collecting.take(session, build)
    agents.leave_behind(session, step, collecting.tests_named("a", "b").encode(), "tests.json")

    agents.tell(session, step, collecting.printed(session, step, None))
    collect.collect_step(step.id)

    assert len(collecting.take(session, build)) == 2


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_fails_the_step_by_its_name(session: Session, content: bytes) -> None:
    build = collecting.a_build_of(session, TWO_SHARDS)
    (step,) = collecting.take(session, build)
    agents.leave_behind(session, step, content, "tests.json")

    agents.tell(session, step, collecting.printed(session, step, None))
    collect.collect_step(step.id)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert said(session, build)[0][1].startswith("An artifact could not be parsed: tests.json: it ")


BAZEL = {"commands": [{"script": "query", "type": "collect_bazel_targets"}], "max_executors": 1}


def a_bazel_step(session: Session) -> tuple[Build, JobStep]:
    build = collecting.a_build_of(session, BAZEL)
    output = {
        "cmd": "test {target_names}",
        "affected_targets": ["//a:one", "//a/b:two"],
        "unaffected_targets": [],
    }
    collecting.collect(session, build, json.dumps(output))
    (step,) = collecting.take(session, build)
    return build, step


def test_targets_get_the_results_of_their_files(session: Session) -> None:
    build, step = a_bazel_step(session)
    agents.leave_behind(session, step, junit("x"), "bazel-testlogs/a/one/test.xml")
    agents.leave_behind(session, step, junit("y", "z"), "a/b/two/test.bazel.xml")

    end(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    targets = targets_of(session, step)
    assert targets == {"//a:one": (Result.PASSED, 1000), "//a/b:two": (Result.PASSED, 2000)}


def test_a_target_whose_tests_say_that_they_took_months_is_read_all_the_same(session: Session) -> None:
    _, step = a_bazel_step(session)
    months = b"".join(b'<testcase name="%d" time="2000000"/>' % number for number in range(2))
    agents.leave_behind(session, step, b"<testsuite>" + months + b"</testsuite>", "a/one/test.xml")

    end(session, step)

    assert targets_of(session, step)["//a:one"] == (Result.PASSED, 2**31 - 1)


def test_a_target_without_a_file_fails_the_step_by_name(session: Session) -> None:
    build, step = a_bazel_step(session)
    agents.leave_behind(session, step, junit("x"), "a/one/test.xml")

    end(session, step)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    ((reason, sentence),) = said(session, build)
    assert (reason, sentence.endswith(": //a/b:two")) == ("missing_targets", True)


def targets_of(session: Session, step: JobStep) -> dict[str, tuple[Result, int | None]]:
    found = session.query(BazelTarget).filter_by(step_id=step.id)
    return {each.name: (each.result, each.duration_ms) for each in found}
