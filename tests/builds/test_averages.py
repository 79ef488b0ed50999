from datetime import timedelta

from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.base import clock, ids
from changes.builds import averages, tasks
from changes.builds.events import BuildFinished
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project


def a_build_that_took(
    session: Session, project: Project, seconds: float, result: Result = Result.PASSED
) -> Build:
    build = factories.a_build(session, project, plans=0)
    build.status, build.result = Status.FINISHED, result
    build.date_finished = clock.now()
    build.date_started = build.date_finished - timedelta(seconds=seconds)
    session.flush()
    return build


def average_ms(session: Session, project: Project) -> int | None:
    averages.update_project_averages(session, [project.id])
    session.refresh(project)
    return project.avg_build_time_ms


def test_the_average_is_that_of_the_last_five_that_passed(session: Session) -> None:
    project = factories.a_project(session)
    for seconds in (1000, 1, 2, 3, 4, 5):
        a_build_that_took(session, project, seconds)

    assert average_ms(session, project) == 3000


def test_builds_that_did_not_pass_say_nothing_about_how_long_it_takes(session: Session) -> None:
    project = factories.a_project(session)
    a_build_that_took(session, project, 2)
    a_build_that_took(session, project, 50, Result.FAILED)
    a_build_that_took(session, factories.a_project(session), 50)

    assert average_ms(session, project) == 2000


def test_builds_of_some_of_the_plans_say_nothing_about_all(session: Session) -> None:
    project = factories.a_project(session)
    a_build_that_took(session, project, 2)
    a_build_that_took(session, project, 50).wishes = {"plans": ["unit"]}
    session.flush()

    assert average_ms(session, project) == 2000


def test_a_build_that_took_months_is_no_reason_to_stumble(session: Session) -> None:
    build = a_build_that_took(session, factories.a_project(session), 90 * 24 * 3600)

    tasks.after_builds(session, [BuildFinished(build.id)])

    session.refresh(build.project)
    assert build.project.avg_build_time_ms == 2_147_483_000


def test_a_project_in_which_nothing_passed_has_no_average(session: Session) -> None:
    assert average_ms(session, factories.a_project(session)) is None


def test_the_end_of_a_build_brings_the_average_up_to_date(session: Session) -> None:
    build = a_build_that_took(session, factories.a_project(session), 7)

    tasks.after_builds(session, [BuildFinished(build.id)])

    session.refresh(build.project)
    assert build.project.avg_build_time_ms == 7000


def test_a_build_that_was_deleted_meanwhile_is_no_error(session: Session) -> None:
    tasks.after_builds(session, [BuildFinished(ids.new())])


def test_a_new_job_is_expected_to_take_as_long_as_its_plan_did(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {"commands": ["true"]})
    build = collecting.build_again(session, project)
    (job,) = agents.jobs_of(session, build)
    job.status, job.result, job.date_finished = Status.FINISHED, Result.PASSED, clock.now()
    job.date_started = job.date_finished - timedelta(seconds=7)
    session.flush()

    averages.update_averages(session, [build.id])

    session.refresh(plan)
    (next_job,) = agents.jobs_of(session, collecting.build_again(session, project))
    assert (job.expected_ms, next_job.expected_ms) == (None, 7000)
