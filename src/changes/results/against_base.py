"""What the tests of a build say that those of an earlier one did not: what is new, what still fails, what
was mended.

The base of a patch is the newest build of the commit below it; that of a commit, one of its parent, else
the newest before it on the same branch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, case, func, literal, select, true, union_all
from sqlalchemy.orm import Session, lazyload

from changes.base import clock
from changes.builds.models import Build
from changes.builds.rules import Cause, Result, Status
from changes.projects.models import Revision, Source
from changes.results import run_numbers, testruns
from changes.results.models import Test, TestBatch, TestDay, TestRun

# So far back it is looked for a base, and so many failures of a build are compared.
BUILDS_LOOKED_AT, FAILURES_MAX = 200, 1000
# With so many that can have failed in the other build: a step reports a million tests at most.
FAILURES_ALL = 1_000_000
FIXED_SHOWN = 50
# So far back it is looked for a build that passed.
PASSED_LOOKED_AT = 2000
# A test that passed only when it was run again within these days is called flaky.
FLAKY_DAYS = 14
PARENT_FIRST, BRANCH_THEN = 0, 1


class News(StrEnum):
    """What a failure is, beside the base."""

    NEW = "new"
    STILL = "still failing"
    FLAKY = "flaky"


@dataclass(frozen=True)
class BaseBuild:
    id: UUID
    number: int
    sha: str
    is_parent: bool


@dataclass(frozen=True)
class FixedTest:
    """Failed in the base and passes here."""

    run_id: UUID
    name: str
    duration_ms: int | None


@dataclass(frozen=True)
class Compared:
    """`news` by the number of the test; without a base nothing is news."""

    base: BaseBuild | None
    news: Mapping[int, News] = field(default_factory=dict)
    # Of more failures here the rest was not compared; and so many failed in the base.
    is_cut: bool = False
    failed_before: int = 0

    @property
    def is_base_cut(self) -> bool:
        """Of the failures of the base only the first are looked for among what passed here."""
        return self.failed_before > FAILURES_MAX

    def of_kind(self, kind: News) -> list[int]:
        return [test_id for test_id, each in self.news.items() if each == kind]


def news_of(*, failed_before: bool, is_flaky: bool) -> News:
    """A test that failed before is no news, however flaky it is."""
    if failed_before:
        return News.STILL
    return News.FLAKY if is_flaky else News.NEW


def compare(session: Session, build: Build) -> Compared:
    """One question, for it stands on every page of a build's tests. What was mended is another one."""
    # One more than are compared: then it is known that there are more.
    base, here = nearest(build).cte("base"), failing(build.id, "here", most=FAILURES_MAX + 1)
    before = failing(select(base.c.id).scalar_subquery(), "before", most=FAILURES_ALL)
    failed_before = here.c.test_id.in_(select(before.c.test_id))
    how_many = select(func.count()).select_from(before).scalar_subquery()
    columns: list[Any] = [base, here.c.test_id, failed_before, was_flaky_lately(here.c.test_id), how_many]
    rows = session.execute(select(*columns).select_from(base).outerjoin(here, true())).all()
    if not rows:
        return Compared(None)
    compared = [row for row in rows if row[4] is not None][:FAILURES_MAX]
    news = {row[4]: news_of(failed_before=row[5], is_flaky=row[6]) for row in compared}
    return Compared(base_of_row(rows[0]), news, is_cut=len(rows) > FAILURES_MAX, failed_before=rows[0][7])


def base_of(session: Session, build: Build) -> BaseBuild | None:
    row = session.execute(nearest(build)).one_or_none()
    return None if row is None else base_of_row(row)


def base_of_row(row: Any) -> BaseBuild:
    return BaseBuild(row.id, row.number, row.sha, is_parent=row.rank == PARENT_FIRST)


def failing(build_id: UUID | ScalarSelect[UUID], name: str, *, most: int = FAILURES_MAX) -> CTE:
    """The tests that failed there, as many as are compared, and the same each time. Beside them all of the
    other build are needed: two parts of very many have little in common, and each would be news to the other.
    """
    found = select(TestRun.test_id).distinct().join(TestBatch, testruns.is_in_batch())
    is_its = TestBatch.build_id == build_id
    if isinstance(build_id, UUID):
        is_its = testruns.of_build(build_id)
    mine = found.where(is_its, TestRun.result == Result.FAILED, testruns.of_newest_attempt())
    return mine.order_by(TestRun.test_id).limit(most).cte(name)


def was_flaky_lately(test_id: ColumnElement[int]) -> ColumnElement[bool]:
    since = clock.now().date() - timedelta(days=FLAKY_DAYS)
    return (
        select(TestDay.day)
        .where(TestDay.test_id == test_id, TestDay.day >= since, TestDay.flaky > 0)
        .exists()
    )


def fixed_since(session: Session, build: Build, base: BaseBuild) -> list[FixedTest]:
    before, here = failing(base.id, "before"), failing(build.id, "here", most=FAILURES_ALL)
    found = select(func.max(TestRun.id), Test.name, func.max(TestRun.duration_ms))
    found = found.select_from(before).join(TestBatch, TestBatch.build_id == build.id)
    found = found.join(TestRun, (TestRun.test_id == before.c.test_id) & testruns.is_in_batch())
    found = found.join(Test, Test.id == TestRun.test_id).where(TestRun.result == Result.PASSED)
    fixed = found.where(TestRun.test_id.not_in(select(here.c.test_id)), testruns.of_newest_attempt())
    rows = session.execute(fixed.group_by(Test.name).order_by(Test.name).limit(FIXED_SHOWN))
    return [FixedTest(run_numbers.outside(row[0]), row[1], row[2]) for row in rows]


def nearest(build: Build) -> Select[Any]:
    """One that has tests: what could not run them says nothing of them."""
    revision = build.source.revision
    shas = [revision.sha] if build.source.patch_id else list(revision.parents)
    candidates = union_all(of_commits(build, shas), before_on_branch(build, revision)).subquery()
    return select(candidates).order_by(candidates.c.rank, candidates.c.id.desc()).limit(1)


def of_commits(build: Build, shas: Sequence[str]) -> Select[Any]:
    """The newest of them; of several parents the first is the one that was merged into."""
    places = {sha: place for place, sha in enumerate(shas)}
    # The first commit of all has no parent, and a case without any branch is none.
    first = case(places, value=Source.revision_sha, else_=len(shas)) if shas else literal(0)
    mine = candidates_of(build, PARENT_FIRST).where(Source.revision_sha.in_(shas))
    return select(mine.order_by(first, Build.id.desc()).limit(1).subquery())


def before_on_branch(build: Build, revision: Revision) -> Select[Any]:
    newest = select(Build.id).where(Build.project_id == build.project_id, Build.id < build.id)
    newest = newest.order_by(Build.id.desc()).limit(BUILDS_LOOKED_AT)
    mine = candidates_of(build, BRANCH_THEN).where(Build.id.in_(newest), is_on_branch_of(revision))
    return select(mine.order_by(Build.id.desc()).limit(1).subquery())


def is_on_branch_of(revision: Revision) -> ColumnElement[bool]:
    named: ColumnElement[bool] = Revision.branches.overlap(list(revision.branches))
    return named if revision.branches else func.cardinality(Revision.branches) == 0


def candidates_of(build: Build, rank: int) -> Select[UUID, int, str, int]:
    has_tests = select(TestBatch.id).where(TestBatch.build_id == Build.id).exists()
    found = select(Build.id, Build.number, Source.revision_sha.label("sha"), literal(rank).label("rank"))
    found = found.join(Source, Source.id == Build.source_id)
    is_its = (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha)
    mine = found.join(Revision, is_its).where(Build.project_id == build.project_id, Build.id != build.id)
    of_commit = mine.where(Source.repository_id == build.source.repository_id, Source.patch_id.is_(None))
    # Of one that was cancelled, or lost by machines, nobody knows which tests it would have run.
    came_to_its_end = Build.result.not_in((Result.ABORTED, Result.INFRA_FAILED))
    ended = of_commit.where(Build.cause != Cause.SNAPSHOT, Build.status == Status.FINISHED, came_to_its_end)
    return ended.where(has_tests, says_as_much_as(build))


def says_as_much_as(build: Build) -> ColumnElement[bool]:
    """A build of some of the plans says nothing about the tests of the others, unless these are the same."""
    is_whole: ColumnElement[bool] = ~Build.wishes.has_key("plans")
    plans = build.wishes.get("plans")
    return is_whole if plans is None else is_whole | (Build.wishes["plans"] == plans)


def newest_passed(session: Session, project_id: UUID) -> Build | None:
    """Of a commit, with tests, not too long ago: what lists of a project's tests are made of."""
    newest = select(Build.id).where(Build.project_id == project_id).order_by(Build.id.desc())
    has_tests = select(TestBatch.id).where(TestBatch.build_id == Build.id).exists()
    found = select(Build).join(Source, Source.id == Build.source_id).options(lazyload("*"))
    mine = found.where(Build.id.in_(newest.limit(PASSED_LOOKED_AT)), Source.patch_id.is_(None), has_tests)
    mine = mine.where(~Build.wishes.has_key("plans"))
    passed = mine.where(Build.status == Status.FINISHED, Build.result == Result.PASSED)
    return session.execute(passed.order_by(Build.id.desc()).limit(1)).unique().scalar_one_or_none()
