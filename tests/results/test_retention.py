from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import clock
from changes.builds import pins
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects import options
from changes.projects.models import Project
from changes.results import models, partitions, retention, retention_queries, run_numbers, testdays, testruns
from changes.results.formats import junit
from changes.results.retention_rules import Way

KEEP_MONTHS = 6
OLD = partitions.later(partitions.month_of(clock.now()), -9)
SEEN = [
    junit.TestSeen("a.works", "a", "passed", duration_ms=12),
    junit.TestSeen("a.breaks", "a", "failed", message="boom"),
]


@pytest.fixture
def project(session: Session) -> Project:
    partitions.make(session, OLD, partitions.later(OLD, 4))
    return factories.a_project(session)


def a_tested_build(session: Session, project: Project, at: datetime = OLD, *, runs: int = 2) -> Build:
    """It ended, and its runs were summed up; as if it had been at that time."""
    build = factories.a_build(session, project)
    step = agents.a_taken_step(session, build)
    testruns.store(session, step, [*SEEN, *(junit.TestSeen(f"a.{n}", "a", "passed") for n in range(2, runs))])
    testdays.sum_up(session)
    build.status = Status.FINISHED
    session.flush()
    set_back(session, build, at)
    return build


def set_back(session: Session, build: Build, at: datetime) -> None:
    batch = batch_of(session, build)
    first = run_numbers.batch(at, build.number) + (build.id.int % 1000 << run_numbers.RUN_BITS)
    moved = {"apart": first - batch.id, "begin": batch.id, "end": batch.end_id}
    for table, key in retention.KEYS.items():
        session.execute(
            text(f"update {table} set {key} = {key} + :apart where {key} >= :begin and {key} < :end"), moved
        )
    values = {"id": first, "end_id": batch.end_id + moved["apart"]}
    session.execute(update(models.TestBatch).where(models.TestBatch.id == batch.id).values(values))
    session.expire_all()


def batch_of(session: Session, build: Build) -> models.TestBatch:
    mine = select(models.TestBatch).where(models.TestBatch.build_id == build.id)
    return session.execute(mine).scalar_one()


def names_of(session: Session, build: Build) -> list[str]:
    found = select(models.Test.name).join(models.TestRun, models.TestRun.test_id == models.Test.id)
    mine = found.join(models.TestBatch, testruns.is_in_batch()).where(models.TestBatch.build_id == build.id)
    return sorted(session.execute(mine).scalars())


def tidy(session: Session, month: datetime = OLD) -> Way | None:
    told = retention.tidy(session, month, keep_months=KEEP_MONTHS)
    session.expire_all()
    return told.way if told else None


def ways(session: Session) -> dict[datetime, Way]:
    return {each.month: each.way for each in retention.preview(session, keep_months=KEEP_MONTHS)}


def has_partition(session: Session, month: datetime) -> bool:
    return partitions.name_of("test_run", month) in partitions.names(session)


def keep(session: Session, project: Project, months: str) -> None:
    options.change(session, project, {options.TESTS_KEEP_MONTHS: months})


def counts(session: Session, names: Sequence[str] = ("test_batch", "test_run", "test_message")) -> list[int]:
    return [session.execute(text(f"select count(*) from {name}")).scalar_one() for name in names]


def test_a_month_that_nobody_keeps_is_dropped_with_all_that_told_of_it(
    session: Session, project: Project
) -> None:
    a_tested_build(session, project)

    assert tidy(session) == Way.DROP

    assert not has_partition(session, OLD)
    assert counts(session) == [0, 0, 0]


def test_what_came_back_is_measured(session: Session, project: Project) -> None:
    a_tested_build(session, project)
    before = session.execute(text(retention_queries.STORED), {"schema": partitions.SCHEMA}).all()

    told = retention.tidy(session, OLD, keep_months=KEEP_MONTHS)

    after = session.execute(text(retention_queries.STORED), {"schema": partitions.SCHEMA}).all()
    assert told is not None
    assert told.bytes_back == sum(row[1] for row in before) - sum(row[1] for row in after) > 0


def test_the_sums_of_its_days_stay(session: Session, project: Project) -> None:
    a_tested_build(session, project)

    tidy(session)

    assert [day.runs for day in session.execute(select(models.TestDay)).scalars()] == [1, 1]


def test_a_month_is_kept_until_its_last_day_is_old_enough(session: Session, project: Project) -> None:
    youngest_gone = partitions.later(partitions.month_of(clock.now()), -KEEP_MONTHS - 1)
    oldest_kept = partitions.later(youngest_gone)
    partitions.make(session, youngest_gone, oldest_kept)
    for month in (youngest_gone, oldest_kept):
        a_tested_build(session, project, month)

    found = ways(session)

    assert (found[youngest_gone], oldest_kept in found) == (Way.DROP, False)


def test_a_clock_that_runs_years_ahead_removes_nothing(session: Session, project: Project) -> None:
    recent = partitions.earlier(partitions.month_of(clock.now()))
    a_tested_build(session, project, recent)

    with time_machine.travel(clock.now() + timedelta(days=1000), tick=True):
        assert recent not in ways(session)


def test_runs_of_a_pinned_build_outlive_their_month(session: Session, project: Project) -> None:
    pinned, other = a_tested_build(session, project), a_tested_build(session, project)
    pins.pin(session, pinned, by="olga")

    assert tidy(session) == Way.MOVE

    assert (names_of(session, pinned), names_of(session, other)) == (["a.breaks", "a.works"], [])
    assert counts(session) == [1, 2, 1]


def test_what_outlived_its_month_still_has_its_words_and_its_place(
    session: Session, project: Project
) -> None:
    pinned = a_tested_build(session, project)
    a_tested_build(session, project)
    pins.pin(session, pinned, by="olga")

    tidy(session)

    batch = batch_of(session, pinned)
    mine = models.TestRun.id.between(batch.id, batch.end_id - 1)
    failed = select(models.TestRun.id).where(mine, models.TestRun.result == Result.FAILED)
    failure_id = session.execute(failed).scalar_one()
    assert testruns.messages(session, [failure_id]) == {failure_id: "boom"}
    assert session.execute(
        text("select distinct tableoid::regclass::text from test_run")
    ).scalars().all() == [f"months.{partitions.name_of('test_run', OLD)}"]


def test_a_month_that_was_moved_is_left_in_peace(session: Session, project: Project) -> None:
    pinned = a_tested_build(session, project)
    a_tested_build(session, project)
    pins.pin(session, pinned, by="olga")
    tidy(session)

    assert OLD not in ways(session)
    assert tidy(session) is None


def test_a_build_that_is_pinned_no_more_goes_with_the_next_look(session: Session, project: Project) -> None:
    pinned = a_tested_build(session, project)
    a_tested_build(session, project)
    pins.pin(session, pinned, by="olga")
    tidy(session)

    pins.unpin(session, pinned)

    assert tidy(session) == Way.DROP
    assert counts(session) == [0, 0, 0]


def test_a_project_may_keep_its_runs_longer_than_the_others(session: Session, project: Project) -> None:
    patient = factories.a_project(session)
    keep(session, patient, "12")
    kept, gone = a_tested_build(session, patient), a_tested_build(session, project)

    assert tidy(session) == Way.MOVE

    assert (len(names_of(session, kept)), names_of(session, gone)) == (2, [])


def test_a_project_may_keep_its_runs_for_ever(session: Session, project: Project) -> None:
    keep(session, project, "0")
    a_tested_build(session, project)

    assert OLD not in ways(session)


def test_the_few_runs_of_a_project_that_keeps_them_for_less_are_deleted(
    session: Session, project: Project
) -> None:
    recent = partitions.later(partitions.month_of(clock.now()), -3)
    partitions.make(session, recent, recent)
    hasty = factories.a_project(session)
    keep(session, hasty, "1")
    kept, gone = a_tested_build(session, project, recent, runs=30), a_tested_build(session, hasty, recent)

    assert tidy(session, recent) == Way.DELETE

    assert (len(names_of(session, kept)), names_of(session, gone)) == (30, [])
    assert counts(session) == [1, 30, 1]


def test_what_is_not_yet_summed_up_is_kept(session: Session, project: Project) -> None:
    build = a_tested_build(session, project)
    batch_of(session, build).is_summed_up = False
    session.flush()

    assert OLD not in ways(session)


def test_a_build_that_still_runs_keeps_its_tests(session: Session, project: Project) -> None:
    a_tested_build(session, project).status = Status.IN_PROGRESS
    session.flush()

    assert OLD not in ways(session)


def test_what_a_deleted_project_left_behind_goes_too(session: Session, project: Project) -> None:
    a_tested_build(session, project)
    session.execute(text("delete from test_batch"))

    assert tidy(session) == Way.DROP
    assert counts(session) == [0, 0, 0]


def test_a_preview_tells_the_runs_and_the_room_that_comes_back(session: Session, project: Project) -> None:
    patient = factories.a_project(session)
    keep(session, patient, "12")
    a_tested_build(session, patient), a_tested_build(session, project)

    (told,) = [each for each in retention.preview(session, keep_months=KEEP_MONTHS) if each.month == OLD]

    assert (told.kept, told.gone) == (2, 2)
    assert 0 < told.bytes_back == told.size_bytes // 2


def test_a_preview_changes_nothing(session: Session, project: Project) -> None:
    a_tested_build(session, project)

    retention.preview(session, keep_months=KEEP_MONTHS)

    assert counts(session) == [1, 2, 1]


def test_nothing_goes_where_all_is_kept_for_ever(session: Session, project: Project) -> None:
    a_tested_build(session, project)

    assert retention.preview(session, keep_months=0) == []


def test_runs_that_are_stored_later_still_find_their_month(session: Session, project: Project) -> None:
    pins.pin(session, a_tested_build(session, project), by="olga")
    a_tested_build(session, project)
    tidy(session)

    late = a_tested_build(session, project)

    assert len(names_of(session, late)) == 2
