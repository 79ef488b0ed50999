"""Builds that never were, for the living page of the design: the same objects as the real pages draw."""

from datetime import datetime, timedelta
from typing import Any

from changes.base import ids
from changes.builds.models import Build, FailureReason
from changes.builds.rules import Cause, Result, Status
from changes.people.models import Author
from changes.projects.models import Plan, Project, Revision, Source
from changes.projects.rules import PlanStatus
from changes.results.models import Artifact
from changes.web.pages import ansi, artifact_words, previews, story
from changes.web.pages.artifact_words import Thumbnail

SHA = "c0ffee4212ab34cd56ef78900987fe65dc43ba21"
# Title, status, result, seconds, tests, failing tests, tags.
ROWS = [
    ("Book refunds under a lock", Status.IN_PROGRESS, Result.UNKNOWN, None, 412, 0, []),
    ("Round half even in totals", Status.FINISHED, Result.FAILED, 185, 1230, 3, ["patch"]),
    ("Name the currency in receipts", Status.FINISHED, Result.PASSED, 203, 1230, 0, []),
    ("Update the base image", Status.FINISHED, Result.INFRA_FAILED, 12, 0, 0, []),
]
CODE = b"def refund(amount):\n    # Under a lock.\n    return -amount\n"
PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 4 3'%3E"
    "%3Cpath d='M0 3 4 0v3z'/%3E%3C/svg%3E"
)
TAIL = [
    "\x1b[1m$ pytest -q tests/payments\x1b[0m",
    "\x1b[31mF\x1b[32m.................................\x1b[0m [100%]",
    "\x1b[31mE   AssertionError\x1b[0m: assert -12.50 == 12.50",
    "\x1b[31m\x1b[1m1 failed\x1b[0m, \x1b[32m92 passed\x1b[0m, \x1b[33m2 warnings\x1b[0m in 14.21s",
]


def sample(now: datetime) -> dict[str, Any]:
    project = Project(id=ids.new(), slug="payments", name="Payments", avg_build_time_ms=240_000)
    author = Author(id=ids.new(), name="Olga Petrova", email="olga@example.com")
    builds = [build(project, author, number, now) for number in range(len(ROWS))]
    failing = FailureReason(reason="test_failures", data={})
    estimate = story.estimate(builds[0], now)
    return {
        "builds": builds,
        "failures": {each.id: [failing] if each.result == Result.FAILED else [] for each in builds},
        "stats": {
            each.id: {"test_count": row[4], "test_failures": row[5]}
            for each, row in zip(builds, ROWS, strict=True)
        },
        "estimate": estimate,
        "estimates": {builds[0].id.hex: estimate},
        "revision": builds[0].source.revision,
        "tail": ansi.lines(TAIL),
        "plans": plans(project, now),
        **files(),
    }


def files() -> dict[str, Any]:
    return {
        "artifacts": [
            Artifact(id=ids.new(), name="reports/junit.xml", size_bytes=48_213),
            Artifact(id=ids.new(), name="payments.whl", size_bytes=3_402_117),
        ],
        "strange": artifact_words.name_parts("invoice\u202efdp.exe"),
        "text": previews.text("refund.py", CODE, size_bytes=len(CODE)),
        "pictures": [
            Thumbnail("#builds", PICTURE, artifact_words.name_parts(name), kind)
            for name, kind in (("test-failed-1.png", "image"), ("video.webm", "video"))
        ],
    }


def build(project: Project, author: Author, number: int, now: datetime) -> Build:
    title, status, result, seconds, _, _, tags = ROWS[number]
    began = now - timedelta(seconds=75, hours=number)
    revision = Revision(sha=SHA, message=title, branches=["main"], parents=[])
    return Build(
        id=ids.new(),
        number=204 - number,
        project=project,
        author=author,
        source=Source(revision_sha=SHA, revision=revision),
        label=title,
        target=SHA[:12],
        status=status,
        result=result,
        cause=Cause.PUSH,
        tags=tags,
        date_created=began,
        date_started=began,
        date_finished=None if seconds is None else began + timedelta(seconds=seconds),
    )


def plans(project: Project, now: datetime) -> list[Plan]:
    return [
        Plan(
            id=ids.new(), project=project, label="tests", status=PlanStatus.ACTIVE,
            in_repository=True, date_modified=now - timedelta(days=3),
        ),
        Plan(
            id=ids.new(), project=project, label="nightly", status=PlanStatus.INACTIVE,
            in_repository=False, date_modified=now - timedelta(days=40),
        ),
    ]  # fmt: skip
