"""One build in sentences."""

from datetime import UTC, datetime, timedelta

import pytest

from changes.base import ids
from changes.builds.anatomy import Why
from changes.builds.around import Around
from changes.builds.models import Build, JobStep
from changes.builds.rules import Cause, Result, Status
from changes.projects.models import Project
from changes.web.pages import states, story

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_long_message_is_cut() -> None:
    assert story.excerpt("short") == "short"
    assert story.excerpt("line\n" * 100).count("line") == story.MESSAGE_LINES
    assert story.excerpt("line\n" * 100).endswith("…")


def test_what_waits_is_counted_from_when_it_was_asked_for() -> None:
    build = Build(status=Status.QUEUED, result=Result.UNKNOWN, date_created=NOON)

    assert story.sentence(build, {}, NOON + timedelta(seconds=20)).text == "Waiting for a machine since 20 s."


def test_what_runs_says_what_failed_already() -> None:
    build = Build(status=Status.IN_PROGRESS, result=Result.UNKNOWN, date_created=NOON, date_started=NOON)
    counts = {Result.FAILED: 1, Result.PASSED: 1}

    told = story.sentence(build, counts, NOON + timedelta(minutes=2)).text

    assert told == "Running since 2 min; 1 of 2 tests failed."


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(1, "about 3 min left"), (4, "0 s longer than usual"), (5, "1 min longer than usual")],
)
def test_what_runs_is_reckoned_from_what_is_usual(minutes: int, told: str) -> None:
    project = Project(avg_build_time_ms=240_000)
    build = Build(status=Status.IN_PROGRESS, project=project, date_started=NOON)

    estimate = story.estimate(build, NOON + timedelta(minutes=minutes))

    assert estimate is not None
    assert estimate.text == told
    assert estimate.elapsed_s <= estimate.usual_s


@pytest.mark.parametrize(
    "build",
    [
        Build(status=Status.QUEUED, project=Project(avg_build_time_ms=1)),
        Build(status=Status.IN_PROGRESS, project=Project(), date_started=NOON),
        Build(status=Status.FINISHED, project=Project(avg_build_time_ms=1), date_started=NOON),
    ],
    ids=["not begun", "never passed", "ended"],
)
def test_where_the_end_cannot_be_known_it_is_not_told(build: Build) -> None:
    assert story.estimate(build, NOON) is None


def test_what_happened_is_told_in_the_order_of_time() -> None:
    build = Build(
        status=Status.FINISHED, result=Result.FAILED, date_created=NOON,
        date_started=NOON + timedelta(seconds=2), date_finished=NOON + timedelta(seconds=60),
        date_decided=NOON + timedelta(seconds=65),
    )  # fmt: skip
    step = JobStep(
        id=ids.new(), label="tests", attempt=2, status=Status.FINISHED, result=Result.FAILED,
        date_finished=NOON + timedelta(seconds=50),
    )  # fmt: skip
    right = JobStep(id=ids.new(), label="lint", status=Status.FINISHED, result=Result.PASSED)
    why = Why("timeout", "It took too long.", None, step.id, is_replaced=False)

    told = story.happenings(build, [right, step], [why])

    assert [each.text for each in told] == [
        "Asked for",
        "The first step began, after 2.0 s",
        "tests, attempt 2: failed. It took too long.",
        "Ended: failed",
        "The verdict was known 5.0 s later",
    ]
    assert told[2].state == states.FAILED


def test_an_end_that_says_nothing_about_the_code_comes_with_advice() -> None:
    ended = [Build(status=Status.FINISHED, result=result) for result in Result]

    advised = [build.result for build in ended if story.advice(build)]

    assert advised == [Result.ABORTED, Result.INFRA_FAILED]


@pytest.mark.parametrize(
    ("tag", "told"), [("scheduled", "A schedule was due"), ("webhook", "A webhook asked for it")]
)
def test_what_nobody_asked_for_says_what_did(tag: str, told: str) -> None:
    build = Build(number=2, cause=Cause.UNKNOWN, tags=[tag], asked_by="")
    around = Around(None, None, None, None, None, None, family=[], same_source=[])

    assert story.cause(build, around) == told
