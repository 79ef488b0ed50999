"""The tests of one build as a reader walks them: failures first, by package, by name, slowest first.

Ten thousand are few rows to count and too many to show, so every list is a part, found by key.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, desc, func, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Part
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result
from changes.results import owners, run_numbers, testruns
from changes.results.models import Test, TestBatch, TestMessage, TestRun
from changes.results.verdict_models import FailureCause

EXCERPT_CHARACTERS = 400
FAILED = (Result.FAILED,)
QUARANTINED = (Result.QUARANTINED_PASSED, Result.QUARANTINED_FAILED, Result.QUARANTINED_SKIPPED)
GROUPS: dict[str, Sequence[Result]] = {
    "failed": FAILED,
    "passed": (Result.PASSED,),
    "skipped": (Result.SKIPPED,),
    "quarantined": QUARANTINED,
}
# A step down in the name of a test. The dot of a file's ending is none.
SEGMENT = r"^.*?(?:/|::|\.(?!(?:py|js|ts|jsx|tsx|mjs|rb|go|java|kt|rs|php|cs|cc|cpp|swift)(?:::|\.|$)))"
PACKAGES_MAX = 60
Key = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True)
class SuiteAsked:
    """`group` is a name of GROUPS or empty; `prefix` is the beginning of a name, `text` any part of it."""

    group: str = ""
    text: str = ""
    prefix: str = ""
    sort: str = "failures"
    # Only these, by their numbers.
    among: Collection[int] | None = None


@dataclass(frozen=True)
class RunSeen:
    run: TestRun
    test: Test
    excerpt: str

    @property
    def id(self) -> UUID:
        return self.run.outside_id


@dataclass(frozen=True)
class FailedTest:
    run: TestRun
    test: Test
    step_id: UUID
    message: str
    cause: FailureCause | None
    # Whom the plan names that ran it.
    asked: Sequence[str] = ()


@dataclass(frozen=True)
class Package:
    """Everything below one more step of the name."""

    prefix: str
    count: int
    failed: int
    duration_ms: int


@dataclass(frozen=True)
class PastRun:
    """One run of a test, and the build that it belongs to."""

    id: UUID
    result: Result
    duration_ms: int | None
    number: int
    date_created: datetime


def runs(session: Session, build_id: UUID, page: Page, asked: SuiteAsked) -> Part[RunSeen]:
    keys = keys_of(asked.sort)
    found = select(TestRun, Test, func.left(TestMessage.text, EXCERPT_CHARACTERS))
    found = found.join(Test, Test.id == TestRun.test_id).join(TestBatch, testruns.is_in_batch())
    found = found.outerjoin(TestMessage, TestMessage.run_id == TestRun.id)
    found = found.where(testruns.of_build(build_id), *narrowed(asked))
    after = page.position.after if page.position else None
    before = page.position.before if page.position else None
    if before is not None:
        found = found.where(tuple_(*keys) < place_of(session, keys, before))
        found = found.order_by(*(key.desc() for key in keys))
    else:
        if after is not None:
            found = found.where(tuple_(*keys) > place_of(session, keys, after))
        found = found.order_by(*keys)
    rows = [RunSeen(row[0], row[1], row[2] or "") for row in session.execute(found.limit(page.size + 1))]
    has_more, rows = len(rows) > page.size, rows[: page.size]
    if before is not None:
        return Part(rows[::-1], has_next=True, has_previous=has_more)
    return Part(rows, has_next=has_more, has_previous=after is not None)


def keys_of(sort: str) -> list[Key]:
    """Ascending all, and the last one is unique: a place in the list is a value of these."""
    failures_first = case({Result.FAILED: 0, Result.QUARANTINED_FAILED: 1}, value=TestRun.result, else_=2)
    slowest_first = -func.coalesce(TestRun.duration_ms, -1)
    sorts: dict[str, list[Key]] = {
        "failures": [failures_first, Test.name],
        "name": [Test.name],
        "slowest": [slowest_first, Test.name],
        "retries": [-func.coalesce(TestRun.reruns, 0), Test.name],
    }
    if sort not in sorts:
        raise Invalid(f"Tests cannot be sorted by {sort!r}.", ["sort"])
    return [*sorts[sort], TestRun.id]


def place_of(session: Session, keys: Sequence[Key], run_id: UUID) -> Any:
    found = (
        select(*keys)
        .join(Test, Test.id == TestRun.test_id)
        .where(testruns.is_run(run_numbers.inside(run_id)))
    )
    row = session.execute(found).one_or_none()
    if row is None:
        raise Invalid("This place in the list is gone; please begin anew.", ["after", "before"])
    return tuple_(*row)


def narrowed(asked: SuiteAsked) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [testruns.of_newest_attempt()]
    if asked.group:
        wanted.append(TestRun.result.in_(GROUPS[asked.group]))
    if asked.among is not None:
        wanted.append(TestRun.test_id.in_(asked.among))
    if asked.text:
        wanted.append(Test.name.icontains(asked.text, autoescape=True))
    if asked.prefix:
        wanted.append(Test.name.startswith(asked.prefix, autoescape=True))
    return wanted


def common_prefix(session: Session, build_id: UUID, prefix: str) -> str:
    """As far down as all tests go together; what lies between is no choice."""
    # By bytes, or what lies between the first and the last need not begin as they do.
    name = Test.name.collate("C")
    found = select(func.min(name), func.max(name)).join(TestRun, TestRun.test_id == Test.id)
    found = found.join(TestBatch, testruns.is_in_batch())
    first, last = session.execute(
        found.where(testruns.of_build(build_id), *narrowed(SuiteAsked(prefix=prefix)))
    ).one()
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first or "", last or "", strict=False))
    shared = "".join(letter for letter, _ in pairs)
    steps = re.findall(r".*?(?:/|::|\.)", shared)
    return max(prefix, "".join(steps), key=len)


def packages(session: Session, build_id: UUID, prefix: str) -> list[Package]:
    """The steps further down from `prefix`, those with failures first. Tests at this level are in none."""
    segment = func.substring(func.substr(Test.name, len(prefix) + 1), SEGMENT).label("segment")
    failed = func.count().filter(TestRun.result.in_(FAILED)).label("failed")
    found = select(segment, func.count(), failed, func.coalesce(func.sum(TestRun.duration_ms), 0))
    found = found.join(Test, Test.id == TestRun.test_id).join(TestBatch, testruns.is_in_batch())
    found = found.where(testruns.of_build(build_id), *narrowed(SuiteAsked(prefix=prefix)))
    found = found.group_by(segment).having(segment.is_not(None)).order_by(failed.desc(), segment)
    rows = session.execute(found.limit(PACKAGES_MAX))
    return [Package(prefix + row[0], row[1], row[2], int(row[3])) for row in rows]


# --- one run -----------------------------------------------------------------------------


def run(session: Session, build: Build, run_id: UUID) -> tuple[TestRun, Test, JobStep, str]:
    found = select(TestRun, Test, JobStep, TestMessage.text).join(Test, Test.id == TestRun.test_id)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(JobStep, JobStep.id == TestBatch.step_id)
    found = found.outerjoin(TestMessage, TestMessage.run_id == TestRun.id)
    mine = found.where(testruns.is_run(run_numbers.inside(run_id)), TestBatch.build_id == build.id)
    row = session.execute(mine.options(joinedload(JobStep.job), joinedload(JobStep.node))).one_or_none()
    if row is None:
        raise NotFound("This build has no such test run.")
    return row[0], row[1], row[2], row[3] or ""


def test_of_run(session: Session, run_id: UUID) -> Test:
    found = session.execute(
        select(Test)
        .join(TestRun, TestRun.test_id == Test.id)
        .where(testruns.is_run(run_numbers.inside(run_id)))
    )
    test = found.scalar_one_or_none()
    if test is None:
        raise NotFound("There is no such test run.")
    return test


def past_runs(session: Session, test_id: int, *, limit: int) -> list[PastRun]:
    """How this test went in the newest builds, newest first; where it ran twice, twice."""
    newest = told_runs(test_id).order_by(TestRun.id.desc()).limit(limit)
    return [PastRun(run_numbers.outside(row[0]), *row[1:]) for row in session.execute(newest)]


def runs_around(session: Session, run: TestRun, *, until: int, later: int) -> list[PastRun]:
    """At most so many up to this run of its test, and so many after it; newest first."""
    mine = told_runs(run.test_id)
    before = mine.where(TestRun.id <= run.id).order_by(TestRun.id.desc()).limit(until)
    after = mine.where(TestRun.id > run.id).order_by(TestRun.id).limit(later)
    rows = session.execute(union_all(before, after).order_by(desc("id")))
    return [PastRun(run_numbers.outside(row[0]), *row[1:]) for row in rows]


def told_runs(test_id: int) -> Select[int, Result, int | None, int, datetime]:
    found = select(TestRun.id, TestRun.result, TestRun.duration_ms, Build.number, Build.date_created)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(Build, Build.id == TestBatch.build_id)
    return found.where(TestRun.test_id == test_id)


def failures(
    session: Session, build_id: UUID, *, limit: int, first: Collection[int] = ()
) -> list[FailedTest]:
    """With all that they said: those numbered in `first` before the others, and by name."""
    found = select(TestRun, Test, TestBatch.step_id, TestMessage.text, FailureCause, owners.of_batch())
    found = found.join(Test, Test.id == TestRun.test_id).join(TestBatch, testruns.is_in_batch())
    found = found.outerjoin(TestMessage, TestMessage.run_id == TestRun.id)
    found = found.outerjoin(FailureCause, FailureCause.id == TestMessage.cause_id)
    mine = found.where(testruns.of_build(build_id), *narrowed(SuiteAsked("failed")))
    order = [case((TestRun.test_id.in_(first), 0), else_=1), Test.name, TestRun.id]
    rows = session.execute(mine.order_by(*order).limit(limit))
    return [FailedTest(row[0], row[1], row[2], row[3] or "", row[4], row[5] or ()) for row in rows]
