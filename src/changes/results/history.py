"""One test through all builds: its runs, newest first, and how it went at each revision of a branch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Result
from changes.projects import commits
from changes.projects.models import Project, Revision, Source
from changes.results import environments, run_numbers, testruns
from changes.results.models import Test, TestBatch, TestDay, TestMessage, TestRun

BAD = (Result.FAILED, Result.QUARANTINED_FAILED)


@dataclass(frozen=True)
class RunOfTest:
    """One run, with what it ran for. `branches` are those of its revision."""

    id: UUID
    result: Result
    duration_ms: int | None
    reruns: int
    build_id: UUID
    number: int
    job_id: UUID
    plan: str
    sha: str
    subject: str
    branches: Sequence[str]
    is_of_commit: bool
    date_created: datetime
    # When its commit was made; None = nobody knows.
    date_committed: datetime | None = None
    # A newer attempt at its step counts in its place.
    is_replaced: bool = False
    # Where in the plan, if that makes a difference.
    environment: str = ""

    @property
    def branch(self) -> str:
        return self.branches[0] if self.branches else ""

    @property
    def surroundings(self) -> str:
        return f"{self.plan}, {self.environment}" if self.environment else self.plan


@dataclass(frozen=True)
class DayOfTest:
    day: date
    runs: int
    failed: int
    flaky: int
    mean_ms: int | None


def test_named(session: Session, project: Project, sha: str) -> Test:
    """By the sha1 of its full name."""
    found = select(Test).where(Test.project_id == project.id, Test.name_sha == sha.lower())
    test = session.execute(found).scalar_one_or_none()
    if test is None:
        raise NotFound(f"The project {project.slug} has no such test.")
    return test


def test_by_id(session: Session, test_id: UUID) -> tuple[Test, Project]:
    found = select(Test, Project).join(Project, Project.id == Test.project_id)
    row = session.execute(found.where(Test.id == run_numbers.inside(test_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such test.")
    return row[0], row[1]


def newest(session: Session, test: Test, *, limit: int) -> list[RunOfTest]:
    """Of commits and of patches."""
    rows = session.execute(of_test(test).order_by(TestRun.id.desc()).limit(limit))
    return [seen(row) for row in rows]


def runs(session: Session, test: Test, page: Page, *, results: Sequence[Result] = ()) -> Part[RunOfTest]:
    """A part of them, walked by the number of a run: the last one is found as fast as the first."""
    found = of_test(test, *([TestRun.result.in_(results)] if results else []))
    after = page.position.after if page.position else None
    before = page.position.before if page.position else None
    if before is not None:
        found = found.where(TestRun.id > run_numbers.inside(before)).order_by(TestRun.id.asc())
    else:
        found = found.where(TestRun.id < run_numbers.inside(after)) if after is not None else found
        found = found.order_by(TestRun.id.desc())
    rows = [seen(row) for row in session.execute(found.limit(page.size + 1))]
    has_more, rows = len(rows) > page.size, rows[: page.size]
    if before is not None:
        return Part(rows[::-1], has_next=True, has_previous=has_more)
    return Part(rows, has_next=has_more, has_previous=after is not None)


def of_test(test: Test, *wanted: ColumnElement[bool]) -> Select[Any]:
    columns: list[Any] = [TestRun.id, TestRun.result, TestRun.duration_ms, TestRun.reruns, TestBatch]
    columns += [Build.number, Job.label, Source.revision_sha, Revision.message, Revision.branches]
    columns += [commits.made().label("made"), JobStep.replacement_id.is_not(None).label("is_replaced")]
    columns.append(environments.of_step().label("environment"))
    found = select(*columns).where(TestRun.test_id == test.id, *wanted)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(Build, Build.id == TestBatch.build_id)
    found = found.join(JobStep, JobStep.id == TestBatch.step_id)
    found = found.join(Job, Job.id == TestBatch.job_id).join(Source, Source.id == Build.source_id)
    is_its = (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha)
    return found.join(Revision, is_its)


def seen(row: Any) -> RunOfTest:
    batch: TestBatch = row.TestBatch
    return RunOfTest(
        id=run_numbers.outside(row.id),
        result=row.result,
        duration_ms=row.duration_ms,
        reruns=row.reruns or 0,
        build_id=batch.build_id,
        number=row.number,
        job_id=batch.job_id,
        plan=row.label,
        sha=row.revision_sha,
        subject=row.message.strip().split("\n", 1)[0],
        branches=row.branches,
        is_of_commit=batch.is_of_commit,
        date_created=batch.date_created,
        date_committed=row.made,
        is_replaced=row.is_replaced,
        environment=row.environment,
    )


def days(session: Session, test: Test, *, limit_days: int) -> list[DayOfTest]:
    """Oldest first; days on which it did not run are left out."""
    since = clock.now().date() - timedelta(days=limit_days)
    mine = select(TestDay).where(TestDay.test_id == test.id, TestDay.day > since, TestDay.runs > 0)
    return [
        DayOfTest(
            each.day,
            each.runs,
            each.failed,
            each.flaky,
            round(each.duration_ms / each.measured) if each.measured else None,
        )
        for each in session.execute(mine.order_by(TestDay.day)).scalars()
    ]


def at_revisions(
    session: Session, test: Test, repository_id: UUID, shas: Sequence[str]
) -> dict[str, tuple[TestRun, TestBatch, Build]]:
    """Of the newest build of each of these commits, without a patch: one plan where it failed is enough."""
    found = select(Source.revision_sha, TestRun, TestBatch, Build).ext(distinct_on(Source.revision_sha))
    found = found.select_from(Source).join(Build, Build.source_id == Source.id)
    found = found.join(TestBatch, TestBatch.build_id == Build.id)
    found = found.join(TestRun, testruns.is_in_batch() & (TestRun.test_id == test.id))
    mine = found.where(Source.repository_id == repository_id, Source.revision_sha.in_(shas))
    of_project = mine.where(Source.patch_id.is_(None), Build.project_id == test.project_id)
    counted = of_project.where(testruns.of_newest_attempt())
    failures_first = case((TestRun.result.in_(BAD), 0), else_=1)
    order = [Source.revision_sha, Build.id.desc(), failures_first, TestRun.id.desc()]
    rows = session.execute(counted.order_by(*order)).unique()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def message_of(session: Session, run_id: UUID, test: Test) -> str:
    """What a run of this test said; empty where it said nothing, or is another one's."""
    number = run_numbers.inside(run_id)
    is_its = select(TestRun.id).where(TestRun.id == number, TestRun.test_id == test.id).exists()
    found = select(TestMessage.text).where(TestMessage.run_id == number, is_its)
    return session.execute(found).scalar_one_or_none() or ""
