"""Since which build a test fails, as far as the builds of commits that there are tell (spec of the original):
back from this one to the last that passed, the oldest of an unbroken row of builds in which it failed. What
happens on other branches says nothing of this one.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session, joinedload

from changes.builds.models import Build
from changes.builds.rules import Cause, Result, Status
from changes.projects.models import Source
from changes.results import against_base, testruns
from changes.results.models import TestBatch, TestRun

BUILDS_MAX = 100
FAILURES_MAX = 10_000


def of_tests(session: Session, build: Build, test_ids: Collection[int]) -> dict[int, Build]:
    """The build in which each of these began to fail; it may be this one. A test that nobody knows it of
    is left out. Three questions, however many tests there are.
    """
    if not test_ids:
        return {}
    before = builds_before(session, build)
    failed = failures_in(session, before, test_ids)
    begun = {test_id: beginning(build.id, before, failed.get(test_id, set())) for test_id in test_ids}
    mine = select(Build).where(Build.id.in_(set(begun.values()))).options(joinedload(Build.source))
    found = {each.id: each for each in session.execute(mine).unique().scalars()}
    return {test_id: found[build_id] for test_id, build_id in begun.items()}


def beginning(build_id: UUID, before: Sequence[UUID], failed: Collection[UUID]) -> UUID:
    """`before` has the newest first. Pure."""
    first = build_id
    for each in before:
        if each not in failed:
            return first
        first = each
    return first


def is_of_commit(build: Build) -> list[ColumnElement[bool]]:
    return [
        Build.project_id == build.project_id,
        Build.id < build.id,
        Build.status == Status.FINISHED,
        Build.source.has(of_same_branch(build)),
        Build.cause != Cause.SNAPSHOT,
        # Nor what a search has built of commits that are older, and of one plan alone.
        against_base.says_as_much_as(build),
    ]


def of_same_branch(build: Build) -> ColumnElement[bool]:
    is_on_it = Source.revision.has(against_base.is_on_branch_of(build.source.revision))
    return and_(Source.patch_id.is_(None), is_on_it)


def builds_before(session: Session, build: Build) -> list[UUID]:
    """Finished builds of commits since the last that passed, the newest first."""
    judged = Build.result.in_([Result.PASSED, Result.FAILED])
    mine = select(Build.id, Build.result).where(*is_of_commit(build), judged)
    rows = session.execute(mine.order_by(Build.id.desc()).limit(BUILDS_MAX)).all()
    since = next((place for place, row in enumerate(rows) if row[1] == Result.PASSED), len(rows))
    return [row[0] for row in rows[:since]]


def failures_in(
    session: Session, build_ids: Sequence[UUID], test_ids: Collection[int]
) -> Mapping[int, set[UUID]]:
    """In which of these builds each of the tests failed."""
    failed: dict[int, set[UUID]] = {}
    if not build_ids:
        return failed
    found = select(TestRun.test_id, TestBatch.build_id).join(TestBatch, testruns.is_in_batch())
    mine = found.where(TestBatch.build_id.in_(build_ids), TestRun.test_id.in_(test_ids))
    these = mine.where(TestRun.result == Result.FAILED, testruns.of_newest_attempt()).limit(FAILURES_MAX)
    for test_id, build_id in session.execute(these):
        failed.setdefault(test_id, set()).add(build_id)
    return failed
