"""Causes of failures as they are looked at: all of a time, one with its builds, those of a build."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds.models import Build
from changes.projects.models import Project
from changes.results import run_numbers, testruns
from changes.results.models import Test, TestBatch, TestMessage, TestRun
from changes.results.verdict_models import FailureCause, FailureInBuild

# Of more than so many places where something failed, the newest are looked at.
LOOKED_AT_MAX = 20_000
TESTS_LOOKED_AT, TESTS_SHOWN = 200, 50
DAYS = (1, 7, 30, 90)


@dataclass(frozen=True)
class CausesAsked:
    """`only` is known, unknown or empty; `text` a part of the headline or of the note."""

    days: int = 7
    only: str = ""
    text: str = ""


@dataclass(frozen=True)
class CauseSeen:
    """A cause, and what it did within the time that was asked for."""

    cause: FailureCause
    project: Project
    runs: int
    builds: int
    changes: int
    last_run: int

    @property
    def date_last(self) -> datetime:
        return run_numbers.made_at(self.last_run)


@dataclass(frozen=True)
class BuildSeen:
    build: Build
    runs: int
    last_run: int

    @property
    def date_last(self) -> datetime:
        return run_numbers.made_at(self.last_run)


def listed(session: Session, project: Project | None, page: Page, asked: CausesAsked) -> Part[CauseSeen]:
    """Those in most builds first. Without a project, of all."""
    newest = select(FailureInBuild).where(FailureInBuild.last_run >= since(asked.days))
    if project is not None:
        newest = newest.where(FailureInBuild.project_id == project.id)
    seen = newest.order_by(FailureInBuild.last_run.desc()).limit(LOOKED_AT_MAX).subquery()
    builds, last = func.count().label("builds"), func.max(seen.c.last_run).label("last")
    changes = func.count(seen.c.change_key.distinct())
    sums = select(
        seen.c.cause_id, func.sum(seen.c.runs).label("runs"), builds, changes.label("changes"), last
    )
    sums_of = sums.group_by(seen.c.cause_id).subquery()
    found = select(FailureCause, Project, sums_of.c.runs, sums_of.c.builds, sums_of.c.changes, sums_of.c.last)
    found = found.join(sums_of, sums_of.c.cause_id == FailureCause.id)
    found = narrowed(found.join(Project, Project.id == FailureCause.project_id), asked)
    found = found.order_by(sums_of.c.builds.desc(), sums_of.c.last.desc(), FailureCause.id)
    rows = [CauseSeen(*row) for row in session.execute(found.offset(page.offset).limit(page.size + 1))]
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def narrowed(
    found: Select[FailureCause, Project, int, int, int, int], asked: CausesAsked
) -> Select[FailureCause, Project, int, int, int, int]:
    is_known = (FailureCause.note != "") | (FailureCause.tracker_url != "") | (FailureCause.verdict != "")
    if asked.only:
        found = found.where(is_known if asked.only == "known" else ~is_known)
    if asked.text:
        headline = FailureCause.headline.icontains(asked.text, autoescape=True)
        found = found.where(headline | FailureCause.note.icontains(asked.text, autoescape=True))
    return found


def since(days: int) -> int:
    return run_numbers.least_at(clock.now() - timedelta(days=days))


def cause(session: Session, project: Project, cause_id: UUID) -> FailureCause:
    mine = select(FailureCause).where(
        FailureCause.project_id == project.id, FailureCause.id == inside(cause_id)
    )
    found = session.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound("This project has no such failure.")
    return found


def inside(cause_id: UUID) -> int:
    return cause_id.int if cause_id.int < 2**31 else run_numbers.NOBODY


def seen(session: Session, found: FailureCause, project: Project) -> CauseSeen:
    """All that is known of one, of the newest builds where it was seen."""
    mine = select(FailureInBuild).where(FailureInBuild.cause_id == found.id)
    rows = mine.order_by(FailureInBuild.last_run.desc()).limit(LOOKED_AT_MAX).subquery()
    changes = func.count(rows.c.change_key.distinct())
    sums = select(func.coalesce(func.sum(rows.c.runs), 0), func.count(), changes, func.max(rows.c.last_run))
    runs, builds, changed, last = session.execute(sums).one()
    return CauseSeen(found, project, int(runs), builds, changed, last or found.first_run)


def builds_of(session: Session, found: FailureCause, page: Page) -> Part[BuildSeen]:
    mine = select(Build, FailureInBuild.runs, FailureInBuild.last_run)
    mine = mine.join(FailureInBuild, FailureInBuild.build_id == Build.id)
    mine = mine.where(FailureInBuild.cause_id == found.id)
    mine = mine.order_by(FailureInBuild.last_run.desc(), Build.id.desc())
    rows = [BuildSeen(*row) for row in session.execute(mine.offset(page.offset).limit(page.size + 1))]
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def tests_of(session: Session, found: FailureCause) -> list[tuple[Test, int]]:
    """In which tests it was seen lately, and how often; as long as their runs are kept."""
    newest = select(TestMessage.run_id).where(TestMessage.cause_id == found.id)
    runs = newest.order_by(TestMessage.run_id.desc()).limit(TESTS_LOOKED_AT).subquery()
    # Each batch is looked through once, however many of its tests failed so.
    batch_of = runs.c.run_id.op("&")(text(str(run_numbers.BATCH_MASK)))
    count = func.count()
    tests = select(Test, count).join(TestRun, TestRun.test_id == Test.id)
    tests = tests.join(TestBatch, testruns.is_in_batch()).join(runs, runs.c.run_id == TestRun.id)
    tests = tests.where(TestBatch.id.in_(select(batch_of))).group_by(Test.id)
    tests = tests.order_by(count.desc(), Test.name).limit(TESTS_SHOWN)
    return [(row[0], row[1]) for row in session.execute(tests)]


def example(session: Session, found: FailureCause) -> str:
    """What the newest of them said."""
    newest = select(TestMessage.text).where(TestMessage.cause_id == found.id)
    return session.execute(newest.order_by(TestMessage.run_id.desc()).limit(1)).scalar() or ""


def of_runs(session: Session, run_ids: Sequence[int]) -> dict[int, FailureCause]:
    """The causes of some failures, by the number of the run."""
    if not run_ids:
        return {}
    found = select(TestMessage.run_id, FailureCause).join(
        FailureCause, FailureCause.id == TestMessage.cause_id
    )
    return {row[0]: row[1] for row in session.execute(found.where(TestMessage.run_id.in_(run_ids)))}
