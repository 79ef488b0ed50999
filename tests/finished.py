"""Builds that have ended, and what they left behind, written straight into their rows.

For what is read: whoever tests how a build comes to its end lets an agent report it.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

from sqlalchemy.orm import Session
from tests.factories import A_SHA, a_build, a_source

from changes.base import clock, ids
from changes.builds.models import Build, FailureReason, Job, JobStep
from changes.builds.rules import Result, Status
from changes.people.models import Author
from changes.projects.models import Project, Source
from changes.results import testruns
from changes.results.formats.junit import TestSeen
from changes.results.models import LogChunk, LogSource

numbers = count(1)


def a_sha() -> str:
    return f"{next(numbers):040x}"


def a_patch(session: Session, project: Project) -> Source:
    return a_source(session, project, sha=A_SHA, patch=b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n")


def an_ended_build(
    session: Session,
    project: Project,
    result: Result = Result.PASSED,
    *,
    source: Source | None = None,
    author: Author | None = None,
) -> Build:
    """Of a commit of its own, without jobs."""
    build = a_build(session, project, plans=0)
    build.source = source or a_source(session, project, sha=a_sha())
    build.author = author
    end(session, build, result)
    return build


def end(session: Session, build: Build, result: Result, *, seconds: int = 95) -> None:
    build.status, build.result = Status.FINISHED, result
    build.date_started = build.date_created
    build.date_finished = build.date_decided = build.date_created + timedelta(seconds=seconds)
    session.flush()


def end_step(session: Session, step: JobStep, result: Result) -> None:
    step.status, step.result = Status.FINISHED, result
    step.date_started = step.date_finished = clock.now()
    session.flush()


def lose(session: Session, step: JobStep) -> JobStep:
    """An attempt that the machinery lost, and the one that was made again for it."""
    again = JobStep(
        id=ids.new(),
        job_id=step.job_id,
        phase_id=step.phase_id,
        project_id=step.project_id,
        label=step.label,
        attempt=step.attempt + 1,
        timeout_s=step.timeout_s,
        status=Status.PENDING_ALLOCATION,
    )
    session.add(again)
    session.flush()
    step.replacement_id = again.id
    end_step(session, step, Result.INFRA_FAILED)
    return again


def explain(session: Session, step: JobStep, why: str, **data: object) -> None:
    build_id = session.get_one(Job, step.job_id).build_id
    session.add(FailureReason(build_id=build_id, job_id=step.job_id, step_id=step.id, reason=why, data=data))
    session.flush()


def a_test(name: str, result: str = "passed", **more: object) -> TestSeen:
    return TestSeen(name, "", **{"result": result, "duration_ms": 7, **more})  # type: ignore[arg-type]


def report(session: Session, step: JobStep, tests: Sequence[TestSeen]) -> None:
    testruns.store(session, step, list(tests))


def print_to(session: Session, step: JobStep, data: bytes, name: str = "console", *, chunk: int = 0) -> None:
    """In chunks of this size, or in one."""
    about = {"name": name, "size_bytes": len(data), "newlines": data.count(b"\n")}
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, **about)
    session.add(source)
    session.flush()
    size = chunk or max(1, len(data))
    for offset in range(0, len(data), size):
        piece = data[offset : offset + size]
        row = LogChunk(source_id=source.id, offset=offset, size_bytes=len(piece), data=piece)
        row.lines_before = data.count(b"\n", 0, offset)
        session.add(row)
    session.flush()
