"""What a plan says about trying again."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.builds.test_settle import run

from changes.base import ids
from changes.builds import again, create, queries, waiting
from changes.builds.create import NewBuild
from changes.builds.models import Build, JobPlan, JobStep
from changes.builds.rules import Origin, Result, Status
from changes.protocol import CONSOLE
from changes.results.models import LogChunk, LogSource

PASSED, FAILED = (Status.FINISHED, Result.PASSED), (Status.FINISHED, Result.FAILED)


def a_build_that_retries(session: Session, retry: str) -> Build:
    project = factories.a_project(session)
    config = f"plans: [{{name: tests, commands: [one], retry: {retry}}}]"
    source = factories.a_source(session, project, config=config)
    return create.create_build(session, project, NewBuild(source, ids.new(), "b", "", "", None))


def newest(session: Session, build: Build) -> JobStep:
    return factories.steps_of(session, build)[-1]


def print_in(session: Session, step: JobStep, data: bytes) -> None:
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, name=CONSOLE, size_bytes=len(data))
    session.add(source)
    session.flush()
    session.add(LogChunk(source_id=source.id, offset=0, size_bytes=len(data), data=data))
    session.flush()


def fail_with(session: Session, build: Build, log: bytes) -> JobStep:
    step = newest(session, build)
    print_in(session, step, log)
    run(session, step, code=1)
    return newest(session, build)


def test_a_failure_that_may_be_tried_again_is_not_seen_above_it(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 1}")

    run(session, newest(session, build), code=1)

    first, second = factories.steps_of(session, build)
    assert (agents.state(first), second.origin) == (FAILED, Origin.POLICY)
    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.UNKNOWN)
    assert build.date_failing is None
    run(session, second)
    assert agents.state(build) == PASSED
    assert queries.failures_of(session, [build.id])[build.id] == []
    assert [each.reason for each in waiting.lost_attempts(session, build.id)] == ["command_failed"]


def test_after_so_many_times_a_failure_is_one(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 2}")

    for _ in range(3):
        run(session, newest(session, build), code=1)

    assert [step.attempt for step in factories.steps_of(session, build)] == [1, 2, 3]
    assert agents.state(build) == FAILED


def test_each_pause_is_longer_than_the_one_before(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 2, increment: 600}")

    pauses = []
    for _ in range(2):
        ended = newest(session, build)
        run(session, ended, code=1)
        next_one = newest(session, build)
        assert next_one.not_before is not None
        assert ended.date_finished is not None
        pauses.append(next_one.not_before - ended.date_finished)

    assert pauses == [timedelta(seconds=600), timedelta(seconds=1200)]


@pytest.mark.parametrize(
    ("patterns", "log", "is_forgiven"),
    [
        (["Connection reset"], b"ok\nError: Connection reset by peer\n", True),
        (["Connection reset"], b"ok\nassert 1 == 2\n", False),
        (["^E.* (one|two)$", "nothing"], b"Error two\n", True),
        (["^two"], b"one two\n", False),
        ([r"\\btwo\\b"], b"one two three\n", True),
        ([r"\\btwo\\b"], b"onetwothree\n", False),
        (["reset by peer$"], b"Connection \x1b[31mreset by\x1b[0m peer\r\n", True),
        (["caf\u00e9"], "the caf\u00e9 is shut\n".encode(), True),
        (["broken"], b"\xff\x00 broken \xfe\n", True),
    ],
)
def test_with_patterns_only_what_its_log_tells_is_tried_again(
    session: Session, patterns: list[str], log: bytes, *, is_forgiven: bool
) -> None:
    quoted = ", ".join(f'"{pattern}"' for pattern in patterns)
    build = a_build_that_retries(session, f"{{times: 1, patterns: [{quoted}]}}")

    fail_with(session, build, log)

    assert len(factories.steps_of(session, build)) == 1 + is_forgiven


def test_a_step_without_a_log_matches_no_pattern(session: Session) -> None:
    build = a_build_that_retries(session, '{times: 1, patterns: [""]}')

    run(session, newest(session, build), code=1)

    assert agents.state(build) == FAILED


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(.*a){20}b"])
def test_a_hostile_pattern_is_no_reason_to_try_again_and_holds_nobody_up(
    session: Session, pattern: str
) -> None:
    build = a_build_that_retries(session, f"{{times: 1, patterns: ['{pattern}']}}")

    fail_with(session, build, b"a" * 100_000 + b"!\n")

    assert agents.state(build) == FAILED


def test_a_pattern_of_an_older_plan_that_needs_more_than_linear_time_finds_nothing(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 1}")
    plan = session.execute(select(JobPlan)).scalar_one()
    terms = plan.data["terms"]
    plan.data = {**plan.data, "terms": {**terms, "retry": {**terms["retry"], "patterns": ["(?P<x>a)(?P=x)"]}}}

    fail_with(session, build, b"aa\n")

    assert agents.state(build) == FAILED


def test_what_somebody_asks_for_again_may_be_tried_as_often_again(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 1}")
    for _ in range(2):
        run(session, newest(session, build), code=1)

    again.repeat_failed(session, build)
    run(session, newest(session, build), code=1)

    assert [step.origin for step in factories.steps_of(session, build)] == [
        Origin.FIRST,
        Origin.POLICY,
        Origin.ASKED,
        Origin.POLICY,
    ]


def test_a_step_that_passes_is_not_tried_again(session: Session) -> None:
    build = a_build_that_retries(session, "{times: 5}")

    run(session, newest(session, build))

    assert agents.state(build) == PASSED
