"""Looks now and then which tests are flaky, how much so, and what that costs (flaky_rules.py decides).

Which to look at is read from the sums of the days, so that of ten thousand tests only those are looked at
that both passed and failed. What is found is written down: pages do not look themselves.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session, joinedload

from changes.base import clock
from changes.base.paging import Page, Part
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import environments, flaky_rules, on_patches, quarantine, run_numbers
from changes.results.flaky_rules import Evidence, Look
from changes.results.models import TestBatch, TestDay
from changes.results.on_patches import RunAgain
from changes.results.verdict_models import TestFlakiness, TestQuarantine

LOCK_NUMBER = 0x666C616B79  # "flaky"
PERIOD_DAYS = 30
CANDIDATES_MAX, RUNS_MAX, AT_ONCE = 500, 200, 50
# What is known fades, also where nothing is built any more.
OLD_AFTER = timedelta(days=1)
# What came just before may not have been in the sums of its day.
OVERLAP = timedelta(minutes=1)
NOT_FAILED = (int(Result.PASSED), int(Result.QUARANTINED_PASSED))
LOOKED_AT = (*NOT_FAILED, int(Result.FAILED), int(Result.QUARANTINED_FAILED))
RUNS = f"""
select test.id, run.id, run.result, run.reruns, batch.is_of_commit, build.source_id, build.id,
    -- What ran elsewhere has no plan of ours, but a part of the same name each time.
    coalesce(job_plan.plan_id::text, job.label) || '/' || {environments.OF_STEP}
from unnest(cast(:tests as integer[])) as test(id)
cross join lateral (
    select id, result, reruns from test_run
    where test_id = test.id and id >= :least and result = any(:results) order by id desc limit :runs
) run
join test_batch batch on batch.id = run.id & :mask
join build on build.id = batch.build_id
join job on job.id = batch.job_id
join job_step step on step.id = batch.step_id
left join job_plan on job_plan.job_id = job.id
order by test.id, run.id desc
"""  # noqa: S608 -- put together from a constant


@dataclass(frozen=True)
class Looked:
    """What was found of one test. `alarmed` are builds in which it failed for nothing, by run."""

    evidence: Evidence
    alarmed: frozenset[UUID] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Sums:
    """Of one test within the period, as the days have them, and what it took to run it again on patches."""

    reruns: int = 0
    mean_ms: int = 0
    on_patches: RunAgain = field(default_factory=RunAgain)


@dataclass(frozen=True)
class Bill:
    """What flaky tests cost a project within the period. A build that two of them turned red counts twice."""

    tests: int
    reruns: int
    red_builds: int
    lost_ms: int


def stale_projects(session: Session) -> list[UUID]:
    """Those with results that were not looked at yet, or not since yesterday."""
    now = clock.now()
    newest = select(func.max(TestBatch.id)).where(TestBatch.project_id == Project.id).scalar_subquery()
    known = select(func.max(TestFlakiness.date_modified)).where(TestFlakiness.project_id == Project.id)
    found = session.execute(select(Project.id, newest, known.scalar_subquery())).all()
    least = run_numbers.least_at(now - timedelta(days=PERIOD_DAYS))
    return [
        project_id
        for project_id, batch, looked in found
        if (
            batch is not None
            and batch >= least
            and (looked is None or batch >= run_numbers.least_at(looked - OVERLAP))
        )
        or (looked is not None and looked < now - OLD_AFTER)
    ]


def look(session: Session, project_id: UUID) -> int:
    """Looks at one project; how many flaky tests it has. Only one process does it at a time."""
    alone = text("select pg_try_advisory_xact_lock(:number)")
    if not session.execute(alone, {"number": LOCK_NUMBER}).scalar():
        return 0
    now = clock.now()
    on_patches.forget(session, project_id, before=first_day(now))
    tests = candidates(session, project_id, now)
    looked: dict[int, Looked] = {}
    for begins in range(0, len(tests), AT_ONCE):
        looked |= looked_at(session, tests[begins : begins + AT_ONCE], now)
    flaky = {test_id: each for test_id, each in looked.items() if flaky_rules.score(each.evidence)}
    sums = sums_of(session, project_id, list(flaky), now)
    red = red_builds(session, {build_id for each in flaky.values() for build_id in each.alarmed})
    session.execute(delete(TestFlakiness).where(TestFlakiness.project_id == project_id))
    for test_id, each in flaky.items():
        session.add(row_of(project_id, test_id, each, bill_of(each, sums.get(test_id, Sums()), red), now))
    session.flush()
    return len(flaky)


def candidates(session: Session, project_id: UUID, now: datetime) -> list[int]:
    """Those that both passed and failed on commits, or on one source with a patch, or passed after being run
    again; the worst of many.
    """
    failed, passed, flaky = (func.sum(each) for each in (TestDay.failed, TestDay.passed, TestDay.flaky))
    found = (
        select(TestDay.test_id)
        .where(TestDay.project_id == project_id, TestDay.day >= first_day(now))
        .group_by(TestDay.test_id)
        .having((flaky > 0) | ((failed > 0) & (passed > 0)))
        .order_by((flaky + func.least(failed, passed)).desc(), TestDay.test_id)
        .limit(CANDIDATES_MAX)
    )
    # The days do not count what a test does in quarantine.
    held = select(TestQuarantine.test_id).where(
        TestQuarantine.project_id == project_id, TestQuarantine.date_ended.is_(None)
    )
    of_patches = on_patches.worst(session, project_id, since=first_day(now), limit=CANDIDATES_MAX)
    of_quarantine = session.execute(held.limit(CANDIDATES_MAX)).scalars()
    return list(dict.fromkeys([*session.execute(found).scalars(), *of_patches, *of_quarantine]))


def first_day(now: datetime) -> date:
    return (now - timedelta(days=PERIOD_DAYS)).date()


def looked_at(session: Session, tests: Sequence[int], now: datetime) -> dict[int, Looked]:
    given = {
        "tests": list(tests),
        "least": run_numbers.least_at(now - timedelta(days=PERIOD_DAYS)),
        "results": list(LOOKED_AT),
        "runs": RUNS_MAX,
        "mask": run_numbers.BATCH_MASK,
    }
    rows = session.execute(text(RUNS), given).all()
    return {test_id: looked(list(mine)) for test_id, mine in groupby(rows, itemgetter(0))}


def looked(rows: Sequence[Sequence[object]]) -> Looked:
    looks = list(looks_of(rows))
    found = flaky_rules.evidence(looks)
    # In quarantine it turned nothing red.
    held = {row[1] for row in rows if row[2] == Result.QUARANTINED_FAILED}
    builds = {row[1]: row[6] for row in rows}
    alarmed = (builds[run_id] for run_id in found.false_alarms if run_id not in held)
    return Looked(found, frozenset(each for each in alarmed if isinstance(each, UUID)))


def looks_of(rows: Sequence[Sequence[object]]) -> Iterator[Look]:
    for _, run_id, result, reruns, is_of_commit, source_id, _, plan in rows:
        if isinstance(run_id, int) and isinstance(source_id, UUID):
            again = reruns if isinstance(reruns, int) else 0
            yield Look(run_id, source_id, result in NOT_FAILED, again, bool(is_of_commit), str(plan))


def sums_of(session: Session, project_id: UUID, tests: Collection[int], now: datetime) -> Mapping[int, Sums]:
    reruns, took, measured = (
        func.sum(each) for each in (TestDay.reruns, TestDay.duration_ms, TestDay.measured)
    )
    found = select(TestDay.test_id, reruns, took, measured).where(
        TestDay.project_id == project_id, TestDay.day >= first_day(now), TestDay.test_id.in_(tests)
    )
    rows = session.execute(found.group_by(TestDay.test_id))
    of_commits = {row[0]: (int(row[1]), int(row[2] / row[3]) if row[3] else 0) for row in rows}
    of_patches = on_patches.run_again(session, project_id, tests, since=first_day(now))
    return {
        test_id: Sums(*of_commits.get(test_id, (0, 0)), of_patches.get(test_id, RunAgain()))
        for test_id in {*of_commits, *of_patches}
    }


def red_builds(session: Session, build_ids: Collection[UUID]) -> dict[UUID, int]:
    """How long each of those took that did end red."""
    found = select(Build.id, Build.date_started, Build.date_finished)
    found = found.where(Build.id.in_(build_ids), Build.result == Result.FAILED)
    return {
        row[0]: round((row[2] - row[1]).total_seconds() * 1000) if row[1] and row[2] else 0
        for row in session.execute(found)
    }


def bill_of(each: Looked, sums: Sums, red: Mapping[UUID, int]) -> Bill:
    mine = [red[build_id] for build_id in each.alarmed if build_id in red]
    again_ms = sums.reruns * sums.mean_ms + sums.on_patches.took_ms
    return Bill(1, sums.reruns + sums.on_patches.reruns, len(mine), again_ms + sum(mine))


def row_of(project_id: UUID, test_id: int, each: Looked, bill: Bill, now: datetime) -> TestFlakiness:
    found = each.evidence
    return TestFlakiness(
        test_id=test_id,
        project_id=project_id,
        score=flaky_rules.score(found),
        runs=found.runs,
        sources=found.sources,
        split_sources=found.split_sources,
        passed_again=found.passed_again,
        lone_failures=found.lone_failures,
        reruns=bill.reruns,
        red_builds=bill.red_builds,
        lost_ms=bill.lost_ms,
        last_run=found.last_run,
        date_modified=now,
    )


# --- to be looked at ---------------------------------------------------------------------


def listed(session: Session, project: Project, page: Page) -> Part[TestFlakiness]:
    """The worst first."""
    mine = select(TestFlakiness).options(joinedload(TestFlakiness.test, innerjoin=True))
    mine = mine.where(TestFlakiness.project_id == project.id)
    mine = mine.order_by(TestFlakiness.score.desc(), TestFlakiness.test_id)
    rows = session.execute(mine.offset(page.offset).limit(page.size + 1)).scalars().all()
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def of_test(session: Session, test_id: int) -> TestFlakiness | None:
    return session.get(TestFlakiness, test_id)


def bill(session: Session, project: Project | None = None) -> Bill:
    """Of one project, or of all together."""
    sums = (TestFlakiness.reruns, TestFlakiness.red_builds, TestFlakiness.lost_ms)
    found = select(func.count(), *(func.coalesce(func.sum(each), 0) for each in sums))
    mine = found if project is None else found.where(TestFlakiness.project_id == project.id)
    row = session.execute(mine).one()
    return Bill(row[0], int(row[1]), int(row[2]), int(row[3]))


def told(each: TestFlakiness) -> list[str]:
    """Its evidence in words."""
    found = Evidence(
        split_sources=each.split_sources,
        passed_again=each.passed_again,
        lone_failures=each.lone_failures,
    )
    return flaky_rules.sentences(found)


def held(session: Session, rows: Sequence[TestFlakiness]) -> Mapping[int, TestQuarantine]:
    return quarantine.of_tests(session, [each.test_id for each in rows])
