import json
import threading
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.base.db import Database
from changes.builds import expand, history, reasons, settle
from changes.builds.history import Asked
from changes.builds.models import BazelTarget, Build, FailureReason, JobPhase
from changes.builds.rules import Result, Status
from changes.builds.sharding import Durations
from changes.protocol import StepReport

SURROUNDED = {
    "commands": [
        {"script": "prepare the machine", "type": "infra_setup"},
        {"script": "set up", "type": "setup"},
        {"script": "list", "type": "collect_steps"},
        {"script": "clean up", "type": "teardown"},
    ],
    "env": {"A": "1"},
    "cluster": "big",
    "timeout": 7,
    "labels": {"gpu": True},
}
THEN = {"commands": ["publish"]}


def phases(session: Session, build: Build) -> list[JobPhase]:
    return factories.phases_of(session, build)


def sentence_of(session: Session, build: Build) -> str:
    (why,) = session.query(FailureReason).filter_by(build_id=build.id)
    return reasons.sentence(why.reason, why.data)


class Measured:
    """Plays the history: what it was asked, and what it says."""

    def __init__(self, tests: dict[str, int]) -> None:
        self.durations = Durations(tests)
        self.asked: list[Asked] = []

    def of_tests(self, _session: Session, asked: Asked) -> Durations:
        self.asked.append(asked)
        return self.durations

    def of_targets(self, session: Session, asked: Asked) -> Durations:
        return self.of_tests(session, asked)


def test_each_named_command_becomes_a_step_of_the_phase_behind(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)

    collecting.collect(session, build, json.dumps({"phase": "Make all", "commands": ["make a", "make b"]}))

    first, second = phases(session, build)
    assert (first.label, first.status) == ("Collect steps", Status.FINISHED)
    assert (second.label, second.status) == ("Make all", Status.PENDING_ALLOCATION)
    made = collecting.steps_in(session, second)
    assert [step.label for step in made] == ["make a", "make b"]
    assert [step.status for step in made] == [Status.PENDING_ALLOCATION] * 2


def test_the_job_passes_when_all_that_was_named_has_passed(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
    collecting.collect(session, build, json.dumps({"commands": ["a", "b"]}))

    first, second = collecting.take(session, build)
    agents.end(session, first)
    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.UNKNOWN)
    agents.end(session, second)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_generated_steps_take_over_what_surrounds_them(session: Session) -> None:
    build = collecting.a_build_of(session, SURROUNDED)
    (step,) = collecting.take(session, build)
    assert collecting.scripts_of(session, [step]) == [["prepare the machine", "list"]]

    agents.tell(session, step, collecting.printed(session, step, '{"commands": ["work"]}'))

    (made,) = collecting.steps_in(session, phases(session, build)[1])
    assert collecting.scripts_of(session, [made]) == [["prepare the machine", "set up", "work", "clean up"]]
    assert (made.cluster, made.timeout_s, made.data["labels"]) == ("big", 420, {"gpu": "true"})
    assert collecting.own_command(session, made).env == {"CHANGES": "1", "A": "1"}


def test_the_next_step_of_the_plan_waits_for_all_that_was_named(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS, THEN)
    collecting.collect(session, build, '{"commands": ["a"]}')

    (named,) = collecting.take(session, build)
    agents.end(session, named)

    (last,) = collecting.take(session, build)
    assert collecting.scripts_of(session, [last]) == [["publish"]]


def test_naming_nothing_leaves_nothing_to_do_and_the_plan_goes_on(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS, THEN)

    collecting.collect(session, build, '{"commands": []}')

    assert [phase.result for phase in phases(session, build)][:2] == [Result.PASSED, Result.SKIPPED]
    (last,) = collecting.take(session, build)
    assert collecting.scripts_of(session, [last]) == [["publish"]]


def test_naming_nothing_at_the_end_is_success(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)

    collecting.collect(session, build, '{"commands": []}')

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_failed_collection_leaves_the_rest_undone(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS, THEN)
    (step,) = collecting.take(session, build)

    agents.end(session, step, code=1)

    assert [phase.result for phase in phases(session, build)] == [
        Result.FAILED,
        Result.SKIPPED,
        Result.SKIPPED,
    ]


def test_output_that_cannot_be_read_fails_the_step_with_line_and_cause(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)

    collecting.collect(session, build, '{\n"commands": [}')

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert sentence_of(session, build) == (
        "An artifact could not be parsed: the output of list the steps:"
        " it is not JSON: line 2, column 14: Expecting value"
    )


@pytest.mark.parametrize("output", [None, "", " \n"])
def test_a_collector_that_says_nothing_has_failed(session: Session, output: str | None) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_TESTS)

    collecting.collect(session, build, output)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert "neither printed it nor left tests.json behind" in sentence_of(session, build)


def test_a_report_that_comes_twice_makes_the_steps_once(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
    step = collecting.collect(session, build, '{"commands": ["a", "b"]}')

    assert agents.tell(session, step, collecting.printed(session, step, '{"commands": ["a", "b"]}'))

    assert len(factories.steps_of(session, build)) == 3


def test_two_who_read_the_same_at_once_make_the_steps_once(database: Database) -> None:
    with database.transaction() as session:
        build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
        (step,) = collecting.take(session, build)
        step_id, build_id = step.id, build.id

    def read() -> None:
        with database.transaction() as session:
            step = settle.lock_step(session, step_id)
            assert step is not None
            assert expand.from_text(session, step, '{"commands": ["a", "b"]}', "jobs.json") is None

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()

    with database.transaction() as session:
        assert len(factories.steps_of(session, session.get_one(Build, build_id))) == 3


def test_a_collector_that_was_lost_names_the_steps_at_its_next_attempt(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_STEPS)
    (lost,) = collecting.take(session, build)
    agents.tell(session, lost, StepReport(status="released", reason="agent_restarted"))

    collecting.collect(session, build, '{"commands": ["a"]}')

    assert len(collecting.take(session, build)) == 1


def test_a_lost_shard_is_made_again_with_the_same_tests(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_TESTS)
    collecting.collect(session, build, collecting.tests_named("a"))
    (shard,) = collecting.take(session, build)

    agents.tell(session, shard, StepReport(status="released", reason="agent_restarted"))

    (again,) = collecting.take(session, build)
    assert (again.data["tests"], again.attempt) == (["a"], 2)
    assert collecting.scripts_of(session, [again]) == [["run a"]]


def test_tests_are_shared_out_among_as_many_steps_as_the_plan_says(session: Session) -> None:
    build = collecting.a_build_of(session, {**collecting.COLLECT_TESTS, "max_executors": 2})

    collecting.collect(session, build, collecting.tests_named("a", "b", "c", phase="Check"))

    shards = collecting.take(session, build)
    assert [step.label for step in shards] == ["Check 1/2", "Check 2/2"]
    assert sorted(name for step in shards for name in step.data["tests"]) == ["a", "b", "c"]
    assert [step.data["shard_count"] for step in shards] == [2, 2]


def test_a_shard_knows_which_of_how_many_it_is(session: Session) -> None:
    build = collecting.a_build_of(session, {**collecting.COLLECT_TESTS, "max_executors": 2})

    collecting.collect(session, build, collecting.tests_named("a", "b", env={"B": "2"}, artifacts=["x.xml"]))

    _, second = (collecting.own_command(session, step) for step in collecting.take(session, build))
    assert second.env == {
        "CHANGES": "1",
        "B": "2",
        "CHANGES_SHARD_INDEX": "1",
        "CHANGES_SHARD_COUNT": "2",
    }
    assert (second.label, second.artifacts) == ("run {test_names}", ["x.xml"])


def test_shards_are_cut_by_what_tests_of_this_plan_and_branch_took(session: Session) -> None:
    measured = Measured({"slow": 100, "slower": 110, "a": 10, "b": 10})
    history.history.set(measured)
    build = collecting.a_build_of(session, {**collecting.COLLECT_TESTS, "max_executors": 2})
    build.source.revision.branches = ["main"]

    collecting.collect(session, build, collecting.tests_named("slow", "slower", "a", "b"))

    shards = [set(step.data["tests"]) for step in collecting.take(session, build)]
    assert all(len(shard & {"slow", "slower"}) == 1 for shard in shards)
    (asked,) = measured.asked
    assert (asked.project_id, asked.branches) == (build.project_id, ("main",))
    assert asked.plan_id is not None


def test_durations_may_come_from_another_project(session: Session) -> None:
    other = factories.a_project(session, slug="other")
    measured = Measured({})
    history.history.set(measured)
    build = collecting.a_build_of(session, {**collecting.COLLECT_TESTS, "test_stats_from": "other"})

    collecting.collect(session, build, collecting.tests_named("a"))

    assert measured.asked == [Asked(other.id, None)]


def test_commands_share_steps_where_the_plan_says_how_many_there_may_be(session: Session) -> None:
    build = collecting.a_build_of(session, {**collecting.COLLECT_STEPS, "max_executors": 2})
    commands: list[dict[str, Any]] = [{"script": "long", "weight": 10}, {"script": "a"}, {"script": "b"}]

    collecting.collect(session, build, json.dumps({"commands": commands}))

    assert collecting.scripts_of(session, collecting.take(session, build)) == [["long"], ["a", "b"]]


def test_targets_are_kept_with_the_step_that_runs_them(session: Session) -> None:
    collector = {"commands": [{"script": "query", "type": "collect_bazel_targets"}], "max_executors": 1}
    build = collecting.a_build_of(session, collector)
    output = {
        "cmd": "bazel test {target_names}",
        "affected_targets": ["//a:a"],
        "unaffected_targets": ["//b:b"],
        "excluded_targets": ["//c:c"],
        "dependency_map": {"//a:a": ["a.py"]},
        "artifact_search_path": "bazel-testlogs",
    }

    collecting.collect(session, build, json.dumps(output))

    (step,) = collecting.take(session, build)
    assert collecting.scripts_of(session, [step]) == [["bazel test //a:a //b:b"]]
    assert step.data["artifact_search_path"] == "bazel-testlogs"
    targets = session.query(BazelTarget).filter_by(job_id=step.job_id).order_by(BazelTarget.name)
    assert [(each.name, each.result, each.step_id) for each in targets] == [
        ("//a:a", Result.UNKNOWN, step.id),
        ("//b:b", Result.UNKNOWN, step.id),
        ("//c:c", Result.SKIPPED, None),
    ]
    assert targets[0].message.endswith("a.py")


def test_what_is_named_is_cut_by_the_plan_as_it_was(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {**collecting.COLLECT_TESTS, "max_executors": 2})
    build = collecting.build_again(session, project)
    plan.steps[0].data = {**collecting.COLLECT_TESTS, "max_executors": 9}
    session.flush()

    collecting.collect(session, build, collecting.tests_named("a", "b", "c"))

    assert len(collecting.take(session, build)) == 2
