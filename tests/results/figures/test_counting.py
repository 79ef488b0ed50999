"""What has ended is counted by day, by plan and by machine, and counted anew when it ends again."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.work import BUILD_S, STEP_S, WAITED_S, a_project, an_ended_build, count

from changes.base import clock
from changes.builds import outside, outside_report
from changes.builds.events import BuildFinished
from changes.builds.models import Build, JobStep
from changes.builds.outside_report import Ending
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import tasks
from changes.results.figures import counting, reading
from changes.results.figures.counting import Days
from changes.results.figures.models import Measure, Scope, StaleDay
from changes.results.figures.reading import Asked, Sums


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session, "server")


def today() -> Days:
    return Days.one(clock.now().date())


def of_project(session: Session, project: Project, **asked: object) -> Sums:
    found = reading.by_day(session, Asked(today(), project.id, **asked))  # type: ignore[arg-type]
    return reading.together(found.values())


def test_builds_are_counted_by_their_result(session: Session, project: Project) -> None:
    builds = [
        an_ended_build(session, project, each) for each in (Result.PASSED, Result.PASSED, Result.FAILED)
    ]

    assert count(session, builds) == 1

    sums = of_project(session, project)
    assert sums.counts == {Result.PASSED: 2, Result.FAILED: 1}
    assert sums.pass_rate == pytest.approx(2 / 3)
    assert sums.took_ms == 3 * BUILD_S * 1000


def test_what_machines_lost_and_people_stopped_says_nothing_about_the_code(
    session: Session, project: Project
) -> None:
    results = (Result.PASSED, Result.INFRA_FAILED, Result.ABORTED)
    count(session, [an_ended_build(session, project, each) for each in results])

    sums = of_project(session, project)

    assert (sums.pass_rate, sums.lost, sums.total) == (1.0, 1, 3)


def test_how_long_most_took_and_waited_is_known(session: Session, project: Project) -> None:
    build = an_ended_build(session, project)
    count(session, [build])

    steps = of_project(session, project, scope=Scope.STEPS)

    assert steps.seconds(Measure.TOOK, 50) == pytest.approx(STEP_S, rel=0.2)
    assert steps.waited_p95_s == pytest.approx(WAITED_S, rel=0.2)


def test_plans_and_machines_are_counted_by_themselves(session: Session, project: Project) -> None:
    builds = [an_ended_build(session, project) for _ in range(2)]
    count(session, builds)

    plans = reading.by_owner(session, Asked(today(), project.id, Scope.JOBS))
    nodes = reading.by_owner(session, Asked(today(), scope=Scope.STEPS))

    assert [each.total for each in plans.values()] == [2]
    assert set(nodes) == set(session.execute(select(JobStep.node_id)).scalars())


def test_a_build_that_ends_again_is_counted_once_with_its_last_result(
    session: Session, project: Project
) -> None:
    build = an_ended_build(session, project, Result.FAILED)
    count(session, [build])
    build.result = Result.PASSED

    count(session, [build])

    assert of_project(session, project).counts == {Result.PASSED: 1}


def test_what_still_runs_is_not_counted(session: Session, project: Project) -> None:
    factories.a_build(session, project, plans=0)

    count(session, [an_ended_build(session, project)])

    assert of_project(session, project).total == 1


def test_commits_and_patches_are_told_apart(session: Session, project: Project) -> None:
    patched = finished.an_ended_build(session, project, source=finished.a_patch(session, project))
    count(session, [an_ended_build(session, project), patched])

    assert of_project(session, project, is_of_commit=False).total == 1
    assert of_project(session, project).total == 2


def test_all_projects_are_summed_up_together(session: Session, project: Project) -> None:
    other = a_project(session, "client")
    count(session, [an_ended_build(session, project), an_ended_build(session, other, Result.FAILED)])

    whole = reading.together(reading.by_day(session, Asked(today())).values())

    assert whole.counts == {Result.PASSED: 1, Result.FAILED: 1}


def test_the_slowest_steps_are_kept_longest_first(session: Session, project: Project) -> None:
    builds = [an_ended_build(session, project) for _ in range(2)]
    (slow,) = factories.steps_of(session, builds[1])
    assert slow.date_finished
    slow.date_finished += timedelta(minutes=5)
    count(session, builds)

    found = reading.slowest(session, Asked(today(), project.id))

    assert found[0][1].id == slow.id
    assert found[0][0].took_ms == (STEP_S + 300) * 1000


def told_late(session: Session, project: Project, *, days: int, name: str = "run 1") -> Build:
    """One that ran elsewhere so many days ago, and is told of now."""
    at = clock.now() - timedelta(days=days)
    told = outside.Told(external_id=name, sha=factories.A_SHA, jobs=["build"], started=at)
    build = outside.hear(session, project, told)
    (step,) = outside.steps_by_job(session, build).values()
    ending = Ending(result=Result.PASSED, started=at, finished=at + timedelta(minutes=5))
    outside_report.end(session, step.id, ending)
    return build


def days_ago(days: int) -> Days:
    return Days.one((clock.now() - timedelta(days=days)).date())


@pytest.mark.parametrize("days", [3, 40])
def test_a_build_that_ran_elsewhere_counts_on_its_own_day_however_late_it_is_told(
    session: Session, project: Project, days: int
) -> None:
    count(session, [told_late(session, project, days=days)])

    found = reading.by_day(session, Asked(days_ago(days), project.id))

    assert [sums.counts for sums in found.values()] == [{Result.PASSED: 1}]


def test_a_day_of_which_builds_are_gone_stays_as_it_was_counted(session: Session, project: Project) -> None:
    gone = [told_late(session, project, days=40, name=name) for name in ("run 1", "run 2")]
    count(session, gone)
    session.execute(delete(Build).where(Build.id.in_([build.id for build in gone])))

    count(session, [told_late(session, project, days=40, name="run 3")])

    (sums,) = reading.by_day(session, Asked(days_ago(40), project.id)).values()
    assert sums.total == 2


def test_the_numbers_stay_when_builds_are_removed(session: Session, project: Project) -> None:
    build = an_ended_build(session, project)
    count(session, [build])

    session.execute(delete(Build).where(Build.id == build.id))

    assert of_project(session, project).total == 1


def test_a_day_of_long_ago_stands_as_it_was_counted(session: Session, project: Project) -> None:
    build = an_ended_build(session, project)
    build.date_created -= timedelta(days=counting.COUNTED_AGAIN_DAYS + 1)

    assert count(session, [build]) == 0


def test_the_end_of_a_build_makes_its_day_stale_and_the_task_counts_it(
    session: Session, project: Project
) -> None:
    build = an_ended_build(session, project)
    ended = BuildFinished(build.id)
    tasks.after_builds(session, [ended, ended])
    assert session.execute(select(StaleDay.day)).scalars().all() == [clock.now().date()]

    counting.count_stale(session)

    assert session.execute(select(StaleDay)).first() is None
    assert of_project(session, project).total == 1


def test_a_year_is_told_by_the_week(session: Session, project: Project) -> None:
    count(session, [an_ended_build(session, project)])
    after = clock.now().date() + timedelta(days=1)

    found = reading.by_day(session, Asked(Days(after - timedelta(days=365), after), project.id))

    assert {day.weekday() for day in found} == {0}
    assert len(found) == 53
    assert reading.together(found.values()).total == 1
