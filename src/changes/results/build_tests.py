"""Lists of the tests of a build as programs ask for them: by number of page, by result, by order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import run_numbers, testruns
from changes.results.models import LogSource, Test, TestBatch, TestMessage, TestRun

# What went wrong before what does not count; results that no test should have come first of all.
UNEXPECTED_FIRST = (
    Result.FAILED,
    Result.QUARANTINED_FAILED,
    Result.QUARANTINED_SKIPPED,
    Result.SKIPPED,
)
GREEN = (Result.PASSED, Result.QUARANTINED_PASSED)
# More reruns than this before a test passed make it flaky here, as in the original.
RERUNS_OF_FLAKY = 1
SORTS = ("duration", "name", "retries")


@dataclass(frozen=True)
class ListAsked:
    """`text` is any part of a name. Durations and retries come greatest first, unless it is reversed."""

    text: str = ""
    result: Result | None = None
    sort: str = "duration"
    is_reversed: bool = False
    least_ms: int | None = None
    # Whether upper and lower case matter.
    is_exact: bool = False


@dataclass(frozen=True)
class RunOfBuild:
    run: TestRun
    test: Test
    batch: TestBatch


@dataclass(frozen=True)
class NameOfBuild:
    """A test of a build: the newest of its runs, and what all of them took."""

    name_sha: str
    run_id: UUID
    duration_ms: int


def runs(session: Session, build_id: UUID, page: Page, asked: ListAsked) -> Part[RunOfBuild]:
    found = of_build(build_id).where(*narrowed(asked)).order_by(*order_of(asked))
    rows = session.execute(found.offset(page.offset).limit(page.size + 1)).all()
    shown = [RunOfBuild(*row) for row in rows[: page.size]]
    return Part(shown, has_next=len(rows) > page.size, has_previous=page.number > 1)


def of_build(build_id: UUID) -> Select[TestRun, Test, TestBatch]:
    found = select(TestRun, Test, TestBatch).join(Test, Test.id == TestRun.test_id)
    found = found.join(TestBatch, testruns.is_in_batch())
    return found.where(testruns.of_build(build_id), testruns.of_newest_attempt())


def narrowed(asked: ListAsked) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if asked.text:
        name = Test.name
        fits = name.contains if asked.is_exact else name.icontains
        wanted.append(fits(asked.text, autoescape=True))
    if asked.result is not None:
        wanted.append(TestRun.result == asked.result)
    if asked.least_ms is not None:
        wanted.append(TestRun.duration_ms >= asked.least_ms)
    return wanted


def order_of(asked: ListAsked) -> list[ColumnElement[Any]]:
    greatest_first = {
        "duration": func.coalesce(TestRun.duration_ms, -1),
        "retries": func.coalesce(TestRun.reruns, 0),
    }
    if asked.sort == "name":
        first = Test.name.desc() if asked.is_reversed else Test.name.asc()
        return [first, TestRun.id.asc()]
    key = greatest_first[asked.sort]
    return [key.asc() if asked.is_reversed else key.desc(), Test.name.asc(), TestRun.id.asc()]


def not_passed(session: Session, build_id: UUID, *, limit: int) -> list[RunOfBuild]:
    """What should not be first, then what failed, then the rest; by name."""
    place = case({result: at for at, result in enumerate(UNEXPECTED_FIRST, 1)}, value=TestRun.result, else_=0)
    mine = of_build(build_id).where(TestRun.result.not_in(GREEN))
    return [
        RunOfBuild(*row) for row in session.execute(mine.order_by(place, Test.name, TestRun.id).limit(limit))
    ]


def flaky(session: Session, build_id: UUID, *, limit: int) -> tuple[int, list[RunOfBuild]]:
    """Passed, but only when they had been run again more than once; how many there are, and the first."""
    is_flaky = (TestRun.result == Result.PASSED) & (TestRun.reruns > RERUNS_OF_FLAKY)
    mine = of_build(build_id).where(is_flaky).add_columns(func.count().over())
    rows = session.execute(mine.order_by(Test.name, TestRun.id).limit(limit)).all()
    return (rows[0][3] if rows else 0), [RunOfBuild(*row[:3]) for row in rows]


def sums(session: Session, build_id: UUID, *, limit: int) -> dict[str, NameOfBuild]:
    """All names of a build, each once."""
    took = func.coalesce(func.sum(TestRun.duration_ms), 0)
    found = select(Test.name, Test.name_sha, func.max(TestRun.id).label("run_id"), took.label("took"))
    mine = found.join(TestRun, TestRun.test_id == Test.id).join(TestBatch, testruns.is_in_batch())
    mine = mine.where(testruns.of_build(build_id), testruns.of_newest_attempt())
    rows = session.execute(mine.group_by(Test.id).order_by(Test.name).limit(limit))
    return {row[0]: NameOfBuild(row.name_sha, run_numbers.outside(row.run_id), int(row.took)) for row in rows}


def run(session: Session, run_id: UUID) -> tuple[RunOfBuild, JobStep, str]:
    """Any run by its id alone, with its step and what it said."""
    found = select(TestRun, Test, TestBatch, JobStep, TestMessage.text).join(Test, Test.id == TestRun.test_id)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(JobStep, JobStep.id == TestBatch.step_id)
    found = found.outerjoin(TestMessage, TestMessage.run_id == TestRun.id)
    row = session.execute(found.where(testruns.is_run(run_numbers.inside(run_id)))).one_or_none()
    if row is None:
        raise NotFound("There is no such test run.")
    return RunOfBuild(row[0], row[1], row[2]), row[3], row[4] or ""


def first_log(session: Session, step_id: UUID) -> LogSource | None:
    mine = select(LogSource).where(LogSource.step_id == step_id).order_by(LogSource.id).limit(1)
    return session.execute(mine).scalar_one_or_none()


def named(session: Session, test_ids: Sequence[int]) -> Mapping[int, Test]:
    """By their numbers."""
    rows = session.execute(select(Test).where(Test.id.in_(test_ids))).scalars() if test_ids else ()
    return {each.id: each for each in rows}
