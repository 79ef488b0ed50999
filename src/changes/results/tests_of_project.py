"""The tests of a project over its days: how many, how long, which are slow, flaky, or began to fail.

All of it is read from the sums of the days, so it costs the same however many builds there were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    FromClause,
    Select,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Invalid
from changes.base.paging import Page, Part
from changes.results import run_numbers
from changes.results.models import ProjectDay, Test, TestDay

LISTED_DAYS, TREND_DAYS = 7, 30
# What of the sums an order goes by, greatest first.
ORDERS: dict[str, tuple[str, ...]] = {
    "slowest": ("mean_ms",),
    "failing": ("last_failed", "failed"),
    "flakiest": ("flaky", "reruns"),
    "name": (),
}
SUMS = ("runs", "passed", "failed", "flaky", "reruns", "mean_ms", "longest_ms", "last_failed")
COUNTS = 5
# The newest failing run of each of these tests: by the key of its history, on the last day it failed.
NEWEST_FAILURES = """
select test.id, run.id, build.number, build.date_created
from unnest(cast(:test_ids as int[]), cast(:least as bigint[]), cast(:most as bigint[]))
    as test(id, least, most)
cross join lateral (
    select run.id from test_run run
    join test_batch batch on batch.id = run.id & :mask
    where run.test_id = test.id and run.id >= test.least and run.id < test.most
    and run.result = 2 and batch.is_of_commit
    order by run.id desc limit 1
) run
join test_batch batch on batch.id = run.id & :mask
join build on build.id = batch.build_id
"""


@dataclass(frozen=True)
class DayOfTests:
    day: date
    tests: int
    runs: int
    passed: int
    failed: int
    flaky: int
    double_reruns: int
    duration_ms: int

    @property
    def pass_rate(self) -> float | None:
        """Of what was judged; what was left out says nothing."""
        judged = self.passed + self.failed
        return self.passed / judged if judged else None


@dataclass(frozen=True)
class TestSums:
    """One test, over the days that were asked for."""

    id: UUID
    name: str
    name_sha: str
    owner: str | None
    runs: int
    passed: int
    failed: int
    flaky: int
    reruns: int
    mean_ms: int | None
    longest_ms: int
    last_failed: date | None

    @property
    def pass_rate(self) -> float | None:
        judged = self.passed + self.failed
        return self.passed / judged if judged else None


@dataclass(frozen=True)
class NewestFailure:
    run_id: UUID
    number: int
    date_created: datetime


@dataclass(frozen=True)
class TestsAsked:
    """`text` is any part of a name."""

    sort: str = "slowest"
    text: str = ""
    days: int = LISTED_DAYS


def trend(session: Session, project_id: UUID, *, until: date, days: int = TREND_DAYS) -> list[DayOfTests]:
    """Oldest first, up to and with `until`; days without tests are left out."""
    columns = [getattr(ProjectDay, each.name) for each in fields(DayOfTests)]
    found = select(*columns).where(ProjectDay.project_id == project_id)
    mine = found.where(ProjectDay.day > until - timedelta(days=days), ProjectDay.day <= until)
    return [DayOfTests(*row) for row in session.execute(mine.order_by(ProjectDay.day))]


def tests(session: Session, project_id: UUID, page: Page, asked: TestsAsked) -> Part[TestSums]:
    rows = session.execute(listed(project_id, asked, page)).all()
    shown = [sums_of(row) for row in rows[: page.size]]
    return Part(shown, has_next=len(rows) > page.size, has_previous=page.number > 1)


def listed(project_id: UUID, asked: TestsAsked, page: Page) -> Select[Any]:
    """Sums first and names after: of ten thousand tests only those of the page are looked up by name."""
    if asked.sort not in ORDERS:
        raise Invalid(f"Tests cannot be sorted by {asked.sort!r}.", ["sort"])
    sums = summed_up(project_id, asked).cte("sums")
    if asked.sort == "name" or asked.text:
        found = with_names(sums).where(kept(sums, asked.sort))
        return on_page(found.order_by(*greatest_first(sums, asked.sort), Test.name, Test.id), page)
    part = on_page(best(sums, asked.sort), page).subquery()
    return with_names(part).order_by(part.c.place)


def firsts(
    session: Session, project_id: UUID, sorts: Sequence[str], *, each: int
) -> dict[str, list[TestSums]]:
    """The first few by each order, all of one look at the days."""
    sums = summed_up(project_id, TestsAsked()).cte("sums")
    parts = (select(literal(sort).label("sort"), best(sums, sort).limit(each).subquery()) for sort in sorts)
    both = union_all(*parts).subquery()
    found: dict[str, list[TestSums]] = {sort: [] for sort in sorts}
    for row in session.execute(with_names(both).add_columns(both.c.sort).order_by(both.c.place)):
        found[row.sort].append(sums_of(row))
    return found


def best(sums: CTE, sort: str) -> Select[Any]:
    """With the place of each, which an outer question goes by."""
    order = [*greatest_first(sums, sort), sums.c.test_id.asc()]
    place = func.row_number().over(order_by=order).label("place")
    return select(sums, place).where(kept(sums, sort)).order_by(place)


def with_names(sums: FromClause) -> Select[Any]:
    columns: list[Any] = [Test.id, Test.name, Test.name_sha, Test.owner, *(sums.c[name] for name in SUMS)]
    return select(*columns).join(sums, sums.c.test_id == Test.id)


def greatest_first(sums: FromClause, sort: str) -> list[ColumnElement[Any]]:
    return [sums.c[name].desc().nulls_last() for name in ORDERS[sort]]


def kept(sums: FromClause, sort: str) -> ColumnElement[bool]:
    """Days on which all was taken out again hold nothing."""
    counted = {"failing": sums.c.failed, "flakiest": sums.c.flaky}.get(sort, sums.c.runs)
    return counted > 0


def on_page(found: Select[Any], page: Page) -> Select[Any]:
    return found.offset(page.offset).limit(page.size + 1)


def summed_up(project_id: UUID, asked: TestsAsked) -> Select[Any]:
    since = clock.now().date() - timedelta(days=asked.days)
    columns = [
        TestDay.test_id,
        *(func.sum(getattr(TestDay, name)).label(name) for name in SUMS[:COUNTS]),
        (total_ms() / func.nullif(func.sum(TestDay.measured), 0)).label("mean_ms"),
        func.max(TestDay.longest_ms).label("longest_ms"),
        func.max(TestDay.day).filter(TestDay.failed > 0).label("last_failed"),
    ]
    found = select(*columns).where(TestDay.project_id == project_id, TestDay.day > since)
    if asked.text:
        called = select(Test.id).where(Test.project_id == project_id)
        is_called_so = Test.name.icontains(asked.text, autoescape=True)
        found = found.where(TestDay.test_id.in_(called.where(is_called_so)))
    return found.group_by(TestDay.test_id)


def total_ms() -> ColumnElement[float]:
    """As a float, because sums of its own kind are slow decimals."""
    return func.sum(cast(TestDay.duration_ms, Double))


def sums_of(row: Any) -> TestSums:
    return TestSums(
        id=run_numbers.outside(row.id),
        name=row.name,
        name_sha=row.name_sha,
        owner=row.owner,
        runs=int(row.runs),
        passed=int(row.passed),
        failed=int(row.failed),
        flaky=int(row.flaky),
        reruns=int(row.reruns),
        mean_ms=None if row.mean_ms is None else round(row.mean_ms),
        longest_ms=row.longest_ms,
        last_failed=row.last_failed,
    )


def newest_failures(session: Session, found: Sequence[TestSums]) -> dict[UUID, NewestFailure]:
    """Of tests that failed on a day that is known; one look at each."""
    failed = [each for each in found if each.last_failed is not None]
    bounds = [day_bounds(each.last_failed) for each in failed if each.last_failed is not None]
    asked = {
        "test_ids": [run_numbers.inside(each.id) for each in failed],
        "least": [least for least, _ in bounds],
        "most": [most for _, most in bounds],
        "mask": run_numbers.BATCH_MASK,
    }
    rows = session.execute(text(NEWEST_FAILURES), asked) if failed else ()
    return {
        run_numbers.outside(row[0]): NewestFailure(run_numbers.outside(row[1]), row[2], row[3])
        for row in rows
    }


def day_bounds(day: date) -> tuple[int, int]:
    """The numbers of the runs of one day."""
    begin = datetime(day.year, day.month, day.day, tzinfo=run_numbers.EPOCH.tzinfo)
    return run_numbers.least_at(begin), run_numbers.least_at(begin + timedelta(days=1))
