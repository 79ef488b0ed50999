"""Which tests passed only when they were run again, day by day: the statistics that the original told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.results import run_numbers, tests_of_project
from changes.results.models import Test, TestBatch, TestFlakyDay

HISTORY_DAYS, TESTS_MAX = 50, 200
# Before this hour (UTC) the builds of yesterday are still being repeated.
SETTLED_HOUR = 7
# Of those of which it is not written beside the sums of the day.
LAST_FLAKY = """
select test.id, run.id, batch.build_id, batch.job_id
from unnest(cast(:test_ids as int[])) as test(id)
cross join lateral (
    select run.id from test_run run
    join test_batch batch on batch.id = run.id & :mask
    where run.test_id = test.id and run.id >= :least and run.id < :most
    and run.result = 1 and run.reruns > 0 and batch.is_of_commit
    order by run.id desc limit 1
) run
join test_batch batch on batch.id = run.id & :mask
"""


class FlakyDay(NamedTuple):
    """A tuple, because a page of flaky tests has four thousand of them."""

    day: date
    flaky: int = 0
    double_reruns: int = 0
    passing: int = 0


@dataclass(frozen=True)
class LastRun:
    id: UUID
    build_id: UUID
    job_id: UUID


@dataclass(frozen=True)
class FlakyTest:
    """`last` is its newest flaky run of the day; None where that is kept no more."""

    name: str
    name_sha: str
    of_day: FlakyDay
    last: LastRun | None
    history: Sequence[FlakyDay]


def day_asked(now: datetime) -> date:
    """Yesterday, or the day before while yesterday is not over."""
    return now.date() - timedelta(days=1 if now.hour >= SETTLED_HOUR else 2)


def chart(session: Session, project_id: UUID, day: date) -> list[FlakyDay]:
    """Fifty days back from this one, newest first; days without tests count nothing."""
    found = tests_of_project.trend(session, project_id, until=day, days=HISTORY_DAYS)
    return whole([FlakyDay(each.day, each.flaky, each.double_reruns, each.passed) for each in found], day)


def whole(days: Sequence[FlakyDay], last: date) -> list[FlakyDay]:
    known = {each.day: each for each in days}
    return [known.get(quiet.day, quiet) for quiet in quiet_days(last)]


@lru_cache(maxsize=2)
def quiet_days(last: date) -> Sequence[FlakyDay]:
    """As many as are shown; a page has those of two hundred tests."""
    return [FlakyDay(last - timedelta(days=back)) for back in range(HISTORY_DAYS)]


def tests_of_day(session: Session, project_id: UUID, day: date) -> list[FlakyTest]:
    """The worst of the day first."""
    found = select(Test, TestFlakyDay).join(Test, Test.id == TestFlakyDay.test_id)
    mine = found.where(TestFlakyDay.project_id == project_id, TestFlakyDay.day == day, TestFlakyDay.flaky > 0)
    worst = mine.order_by(TestFlakyDay.reruns.desc(), TestFlakyDay.flaky.desc(), Test.id).limit(TESTS_MAX)
    rows = [(row[0], row[1]) for row in session.execute(worst)]
    past = histories(session, project_id, [test.id for test, _ in rows], day)
    last = last_runs(session, {test.id: sums.last_run for test, sums in rows}, day)
    told = [
        FlakyTest(test.name, test.name_sha, of(sums), last.get(test.id), whole(past.get(test.id, ()), day))
        for test, sums in rows
    ]
    return sorted(told, key=lambda each: (-each.of_day.double_reruns, -each.of_day.flaky, each.name))


def of(sums: TestFlakyDay) -> FlakyDay:
    return FlakyDay(sums.day, sums.flaky, sums.double_reruns, sums.passed)


def histories(
    session: Session, project_id: UUID, test_ids: Sequence[int], day: date
) -> dict[int, list[FlakyDay]]:
    """The days on which each was flaky. The others tell nothing, as in the original, and are most of them."""
    each = TestFlakyDay
    told = (func.array_agg(column) for column in (each.day, each.flaky, each.double_reruns, each.passed))
    mine = select(each.test_id, *told).where(each.project_id == project_id, each.flaky > 0, each.day <= day)
    within = mine.where(each.day > day - timedelta(days=HISTORY_DAYS), each.test_id.in_(test_ids))
    # A row for each test: one for each of its days takes twice as long.
    rows = session.execute(within.group_by(each.test_id)) if test_ids else ()
    return {row[0]: list(map(FlakyDay._make, zip(*row[1:], strict=True))) for row in rows}


def last_runs(session: Session, known: Mapping[int, int | None], day: date) -> dict[int, LastRun]:
    """By test; of each the number of the run, where that is known. A batch that is gone had it."""
    batches = {test_id: run_numbers.batch_of(run) for test_id, run in known.items() if run is not None}
    wanted = select(TestBatch.id, TestBatch.build_id, TestBatch.job_id).where(
        TestBatch.id.in_(set(batches.values()))
    )
    of_batch = {row.id: row for row in session.execute(wanted)} if batches else {}
    found = {
        test_id: LastRun(run_numbers.outside(run), batch.build_id, batch.job_id)
        for test_id, run in known.items()
        if run is not None and (batch := of_batch.get(batches[test_id])) is not None
    }
    unknown = [test_id for test_id, run in known.items() if run is None]
    return found | (runs_looked_for(session, unknown, day) if unknown else {})


def runs_looked_for(session: Session, test_ids: Sequence[int], day: date) -> dict[int, LastRun]:
    least, most = tests_of_project.day_bounds(day)
    asked = {"test_ids": list(test_ids), "least": least, "most": most, "mask": run_numbers.BATCH_MASK}
    rows = session.execute(text(LAST_FLAKY), asked)
    return {row[0]: LastRun(run_numbers.outside(row[1]), row[2], row[3]) for row in rows}
