"""A collecting step that is asked again names its work anew; what it named before counts no more."""

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting
from tests.builds.collecting import COLLECT_STEPS, COLLECT_TESTS, steps_in
from tests.builds.test_settle import run

from changes.base import ids
from changes.builds import again, attempts, counting, retry, set_aside
from changes.builds.models import BazelTarget, Build, Job, JobPhase, JobStep
from changes.builds.reasons import AGENT_LOST, Reason
from changes.builds.rules import Origin, ReplaceLimits, Result, Status
from changes.builds.set_aside import Earlier
from changes.results import collect, statistics

COLLECT_TARGETS = {"commands": [{"script": "list the targets", "type": "collect_bazel_targets"}]}


def scripts(*names: str) -> str:
    return json.dumps({"commands": [{"script": name} for name in names]})


def collected(session: Session, *names: str) -> Build:
    """Its collecting step named these, and they all passed."""
    build = collecting.a_build_of(session, COLLECT_STEPS)
    collecting.collect(session, build, scripts(*names))
    run_all(session, build)
    return build


def run_all(session: Session, build: Build) -> None:
    for step in collecting.take(session, build):
        agents.end(session, step)


def named(session: Session, build: Build) -> list[JobStep]:
    """All that was ever named, in the order in which it was made."""
    session.flush()
    session.expire_all()
    return steps_in(session, factories.phases_of(session, build)[1])


def test_a_restart_collects_anew_and_runs_what_is_named_now(session: Session) -> None:
    build = collected(session, "one", "two")

    again.restart(session, build)
    collecting.collect(session, build, scripts("two", "three", "four"))

    current = [step for step in named(session, build) if step.replacement_id is None]
    assert collecting.scripts_of(session, current) == [["two"], ["three"], ["four"]]
    assert {step.status for step in current} == {Status.PENDING_ALLOCATION}
    run_all(session, build)
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_until_it_has_named_them_again_nothing_of_the_next_phase_waits(session: Session) -> None:
    build = collected(session, "one", "two")

    again.restart(session, build)

    behind = factories.phases_of(session, build)[1]
    session.refresh(behind)
    assert agents.state(behind) == (Status.QUEUED, Result.UNKNOWN)
    assert {step.status for step in named(session, build)} == {Status.FINISHED}
    assert [step.label for step in retry_list(session, build)] == ["Collect steps"]


def retry_list(session: Session, build: Build) -> list[JobStep]:
    return [session.get_one(JobStep, each.id) for each in retry.newest_attempts(session, build.id)]


def test_what_is_named_again_is_the_next_attempt_at_it(session: Session) -> None:
    build = collected(session, "one", "two")
    one, two = named(session, build)

    again.restart(session, build)
    collecting.collect(session, build, scripts("two", "one"))

    new = {step.label: step for step in named(session, build)[2:]}
    assert (one.replacement_id, two.replacement_id) == (new["one"].id, new["two"].id)
    assert {(step.attempt, step.origin) for step in new.values()} == {(2, Origin.ASKED)}
    assert [each.id for each in attempts.of_step(session, new["one"])] == [one.id, new["one"].id]


def test_what_is_not_named_again_stays_set_aside_and_has_no_next_attempt(session: Session) -> None:
    build = collected(session, "one", "two")
    _, two = named(session, build)

    again.restart(session, build)
    collecting.collect(session, build, scripts("one"))
    run_all(session, build)

    session.refresh(two)
    assert two.is_set_aside
    assert agents.state(two) == (Status.FINISHED, Result.PASSED)
    assert [each.id for each in attempts.of_step(session, two)] == [two.id]
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_second_restart_sets_aside_the_second_list(session: Session) -> None:
    build = collected(session, "one")
    for _ in range(2):
        again.restart(session, build)
        collecting.collect(session, build, scripts("one"))
        run_all(session, build)

    assert [step.attempt for step in named(session, build)] == [1, 2, 3]
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_only_what_failed_keeps_the_list_when_the_collecting_step_passed(session: Session) -> None:
    build = collecting.a_build_of(session, COLLECT_STEPS)
    collecting.collect(session, build, scripts("good", "bad"))
    for step in collecting.take(session, build):
        agents.end(session, step, code=int(step.label == "bad"))

    again.repeat_failed(session, build)

    waiting = collecting.take(session, build)
    assert [(step.label, step.attempt) for step in waiting] == [("bad", 2)]


def test_a_collecting_step_that_failed_after_it_named_them_names_them_anew(session: Session) -> None:
    build = collecting.a_build_of(session, COLLECT_STEPS)
    (collector,) = collecting.take(session, build)
    agents.leave_behind(session, collector, agents.JUNIT_FAILED)
    agents.tell(session, collector, collecting.printed(session, collector, scripts("old")))
    collect.collect_step(collector.id)
    assert [agents.state(step) for step in named(session, build)] == [(Status.FINISHED, Result.SKIPPED)]

    again.repeat_failed(session, build)
    collecting.collect(session, build, scripts("new"))

    assert [step.label for step in collecting.take(session, build)] == ["new"]


def test_a_collecting_step_that_is_lost_after_it_named_them_names_them_anew(session: Session) -> None:
    build = collecting.a_build_of(session, COLLECT_STEPS)
    (collector,) = collecting.take(session, build)
    agents.leave_behind(session, collector, agents.JUNIT)
    agents.tell(session, collector, collecting.printed(session, collector, scripts("old")))
    assert [step.status for step in named(session, build)] == [Status.QUEUED]

    why = Reason(AGENT_LOST, {"node": "n", "silence_s": 60})
    retry.replace_lost_step(session, collector, why, ReplaceLimits(6, machines=9))
    collecting.collect(session, build, scripts("old", "more"))
    run_all(session, build)

    old, *new = named(session, build)
    assert agents.state(old) == (Status.FINISHED, Result.SKIPPED)
    assert [(step.attempt, step.origin) for step in new] == [(2, Origin.POLICY), (1, Origin.FIRST)]
    assert retry.losses(session, old.job_id) == {collector.node_id: 1}
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_tests_of_shards_that_were_set_aside_are_not_counted(session: Session) -> None:
    build = collecting.a_build_of(session, COLLECT_TESTS)
    collecting.collect(session, build, collecting.tests_named("a.works"))
    (shard,) = collecting.take(session, build)
    agents.leave_behind(session, shard, agents.JUNIT)
    agents.end(session, shard)
    collect.collect_step(shard.id)
    assert statistics.of_items(session, [build.id])[build.id]["test_count"] == 1

    again.restart(session, build)

    assert statistics.of_items(session, [build.id])[build.id] == {}


def test_targets_that_are_not_run_are_named_anew_too(session: Session) -> None:
    build = collecting.a_build_of(session, COLLECT_TARGETS)
    output = {
        "cmd": "bazel test {target_names}",
        "affected_targets": ["//a:a"],
        "unaffected_targets": [],
        "artifact_search_path": "x",
    }
    collecting.collect(session, build, json.dumps({**output, "excluded_targets": ["//old:old", "//b:b"]}))
    for step in collecting.take(session, build):
        agents.end(session, step, code=1)
        collect.collect_step(step.id)

    again.restart(session, build)
    collecting.collect(session, build, json.dumps({**output, "excluded_targets": ["//b:b"]}))

    of_no_step = select(BazelTarget.name).where(BazelTarget.step_id.is_(None))
    assert list(session.execute(of_no_step).scalars()) == ["//b:b"]


def test_the_counts_are_right_all_the_way(session: Session) -> None:
    build = collected(session, "one", "two")
    again.restart(session, build)
    check_counts(session, build)
    collecting.collect(session, build, scripts("two"))
    check_counts(session, build)
    run_all(session, build)
    check_counts(session, build)


def check_counts(session: Session, build: Build) -> None:
    session.expire_all()
    wholes: list[Build | Job | JobPhase] = [
        build,
        *agents.jobs_of(session, build),
        *factories.phases_of(session, build),
    ]
    for whole in wholes:
        assert whole.tally is None or whole.tally == counting.counted(session, whole)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (["a", "b"], ["b", "a"], {0: "b", 1: "a"}),
        (["1/2", "2/2"], ["1/3", "2/3", "3/3"], {0: "1/2", 1: "2/2"}),
        (["a", "a"], ["a"], {0: "a"}),
        ([], ["a"], {}),
        (["a", "x"], ["y", "a"], {0: "x", 1: "a"}),
    ],
)
def test_names_are_paired_before_places_are(
    before: list[str], now: list[str], expected: dict[int, str]
) -> None:
    paired = set_aside.paired([Earlier(ids.new(), label, 1) for label in before], now)

    assert {place: each.label for place, each in paired.items()} == expected


def test_steps_of_plain_phases_are_copied_as_before(session: Session) -> None:
    build = factories.a_build(session, commands=["one", "two"])
    run(session, factories.steps_of(session, build)[0], code=1)

    again.restart(session, build)

    old, new = factories.steps_of(session, build)
    assert old.replacement_id == new.id
    assert [command.script for command in agents.commands_of(session, new)] == ["one", "two"]
