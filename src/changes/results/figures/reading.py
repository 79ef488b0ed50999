"""What pages and programs ask of the sums: by day, by plan, by machine, and what took longest."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from changes.base import clock
from changes.builds.models import Job, JobStep
from changes.builds.rules import Result
from changes.results.figures import spread
from changes.results.figures.counting import Days
from changes.results.figures.models import ALL_PROJECTS, Measure, Scope, SlowStep, WorkDay, WorkSpread

SLOWEST_MAX = 20
# Longer than that is told by the week.
BY_DAY_MAX = 92
DAYS_OF_WEEK = 7
HALF, MOST = 50, 95


@dataclass(frozen=True)
class Asked:
    days: Days
    project_id: UUID = ALL_PROJECTS
    scope: Scope = Scope.BUILDS
    # A plan or a machine; None = of all together.
    owner_id: UUID | None = None
    is_of_commit: bool | None = None
    results: frozenset[Result] = frozenset()


@dataclass
class Sums:
    """Of any days, plans or machines together."""

    counts: Counter[Result] = field(default_factory=Counter)
    took_ms: int = 0
    longest_ms: int = 0
    waited_ms: int = 0
    spreads: dict[Measure, Counter[int]] = field(
        default_factory=lambda: {measure: Counter() for measure in Measure}
    )

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def lost(self) -> int:
        return self.counts[Result.INFRA_FAILED]

    @property
    def pass_rate(self) -> float | None:
        """Of what got a verdict: what machines lost and people stopped says nothing about the code."""
        judged = self.counts[Result.PASSED] + self.counts[Result.FAILED]
        return self.counts[Result.PASSED] / judged if judged else None

    def seconds(self, measure: Measure, percent: float) -> float | None:
        found = spread.percentile_ms(self.spreads[measure], percent)
        return None if found is None else found / 1000

    @property
    def took_p50_s(self) -> float | None:
        return self.seconds(Measure.TOOK, HALF)

    @property
    def took_p95_s(self) -> float | None:
        return self.seconds(Measure.TOOK, MOST)

    @property
    def waited_p50_s(self) -> float | None:
        return self.seconds(Measure.WAITED, HALF)

    @property
    def waited_p95_s(self) -> float | None:
        return self.seconds(Measure.WAITED, MOST)


def by_day(session: Session, asked: Asked) -> dict[date, Sums]:
    """A value for each day, or for each Monday where the time asked for is long; oldest first."""
    start = first_of_week if (asked.days.after - asked.days.first).days > BY_DAY_MAX else same
    day = asked.days.first
    found: dict[date, Sums] = {}
    while day < asked.days.after:
        found.setdefault(start(day), Sums())
        day += timedelta(days=1)
    gather(session, asked, lambda row: found.setdefault(start(row.day), Sums()), WorkDay.day, WorkSpread.day)
    return found


def by_owner(session: Session, asked: Asked) -> dict[UUID, Sums]:
    found: dict[UUID, Sums] = {}
    gather(
        session,
        asked,
        lambda row: found.setdefault(row.owner_id, Sums()),
        WorkDay.owner_id,
        WorkSpread.owner_id,
    )
    return found


def together(parts: Iterable[Sums]) -> Sums:
    whole = Sums()
    for part in parts:
        whole.counts.update(part.counts)
        whole.took_ms += part.took_ms
        whole.waited_ms += part.waited_ms
        whole.longest_ms = max(whole.longest_ms, part.longest_ms)
        for measure in Measure:
            whole.spreads[measure].update(part.spreads[measure])
    return whole


def gather(
    session: Session,
    asked: Asked,
    sums_of: Callable[[Any], Sums],
    day_key: InstrumentedAttribute[Any],
    spread_key: InstrumentedAttribute[Any],
) -> None:
    """Two statements, whatever is asked for."""
    counted = select(
        day_key,
        WorkDay.result,
        func.sum(WorkDay.count).label("number"),
        func.sum(WorkDay.took_ms).label("took_ms"),
        func.max(WorkDay.longest_ms).label("longest_ms"),
        func.sum(WorkDay.waited_ms).label("waited_ms"),
    )
    for row in session.execute(narrowed(counted, WorkDay, asked).group_by(day_key, WorkDay.result)):
        sums = sums_of(row)
        sums.counts[row.result] += row.number
        sums.took_ms += int(row.took_ms)
        sums.waited_ms += int(row.waited_ms)
        sums.longest_ms = max(sums.longest_ms, row.longest_ms)
    spread_of = [spread_key, WorkSpread.measure, WorkSpread.bucket]
    spreads = select(*spread_of, func.sum(WorkSpread.count).label("number"))
    for row in session.execute(narrowed(spreads, WorkSpread, asked).group_by(*spread_of)):
        sums_of(row).spreads[row.measure][row.bucket] += row.number


def narrowed(
    found: Select[*tuple[Any, ...]], table: type[WorkDay | WorkSpread], asked: Asked
) -> Select[*tuple[Any, ...]]:
    found = found.where(table.project_id == asked.project_id, table.scope == asked.scope)
    found = found.where(table.day >= asked.days.first, table.day < asked.days.after)
    if asked.owner_id is not None:
        found = found.where(table.owner_id == asked.owner_id)
    if asked.is_of_commit is not None:
        found = found.where(table.is_of_commit.is_(asked.is_of_commit))
    return found.where(table.result.in_(asked.results)) if asked.results else found


def slowest(session: Session, asked: Asked) -> Sequence[tuple[SlowStep, JobStep]]:
    """The longest of the longest of each day. `asked.owner_id` is a plan."""
    found = select(SlowStep, JobStep).join(JobStep, JobStep.id == SlowStep.step_id)
    found = found.where(SlowStep.project_id == asked.project_id)
    found = found.where(SlowStep.day >= asked.days.first, SlowStep.day < asked.days.after)
    if asked.owner_id is not None:
        found = found.where(SlowStep.plan_id == asked.owner_id)
    if asked.is_of_commit is not None:
        found = found.where(SlowStep.is_of_commit.is_(asked.is_of_commit))
    if asked.results:
        found = found.where(SlowStep.result.in_(asked.results))
    found = found.options(joinedload(JobStep.job).joinedload(Job.build), joinedload(JobStep.node))
    found = found.order_by(SlowStep.took_ms.desc(), SlowStep.step_id).limit(SLOWEST_MAX)
    return [(row[0], row[1]) for row in session.execute(found)]


def same(day: date) -> date:
    return day


def first_of_week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def last_weeks(session: Session, project_id: UUID) -> tuple[Sums, Sums]:
    """Builds of commits of the last seven days, and of the seven before."""
    after = clock.now().date() + timedelta(days=1)
    middle, first = (after - timedelta(days=DAYS_OF_WEEK * weeks) for weeks in (1, 2))
    found = by_day(session, Asked(Days(first, after), project_id, is_of_commit=True))
    newer = together(sums for day, sums in found.items() if day >= middle)
    return newer, together(sums for day, sums in found.items() if day < middle)
