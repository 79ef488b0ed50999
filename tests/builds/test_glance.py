"""Projects at a glance."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, a_project
from tests.finished import a_patch, an_ended_build, end

from changes.base import clock
from changes.base.errors import Invalid
from changes.base.paging import Page
from changes.builds import glance
from changes.builds.glance import GlanceAsked, ProjectGlance
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus


def seen(session: Session, project: Project) -> ProjectGlance:
    found = glance.project(session, project.slug)
    assert found is not None
    return found


def slugs(session: Session, **asked: object) -> list[str]:
    part = glance.projects(session, Page(size=50), GlanceAsked(**asked))  # type: ignore[arg-type]
    return [each.project.slug for each in part.rows]


def test_the_verdict_is_that_of_the_last_commit_that_got_one(session: Session) -> None:
    project = a_project(session)
    an_ended_build(session, project, Result.FAILED)
    an_ended_build(session, project, Result.ABORTED)
    an_ended_build(session, project, source=a_patch(session, project))
    a_build(session, project)

    assert (seen(session, project).result, seen(session, project).last_number) == (Result.FAILED, 1)


def test_rate_and_median_are_of_the_last_builds_that_ended(session: Session) -> None:
    project = a_project(session)
    for seconds, result in ((10, Result.PASSED), (20, Result.FAILED), (90, Result.PASSED)):
        end(session, an_ended_build(session, project), result, seconds=seconds)
    an_ended_build(session, project, Result.ABORTED)

    told = seen(session, project)

    assert (told.judged_count, told.passed_count, told.median_s) == (3, 2, 20.0)


def test_what_waits_and_what_runs_is_counted(session: Session) -> None:
    project = a_project(session)
    a_build(session, project)
    a_build(session, project).status = Status.IN_PROGRESS
    session.flush()

    assert (seen(session, project).waiting_count, seen(session, project).running_count) == (1, 1)
    assert glance.queue(session) == (1, 1)


def test_a_project_that_rests_for_months_keeps_its_verdict(session: Session) -> None:
    project = a_project(session)
    build = an_ended_build(session, project, Result.FAILED)
    build.date_created = clock.now() - timedelta(days=200)
    session.flush()

    told = seen(session, project)

    assert (told.is_red, told.last_activity) == (True, build.date_created)


def test_a_project_without_builds_has_nothing_to_tell(session: Session) -> None:
    told = seen(session, a_project(session))

    assert (told.result, told.pass_rate, told.median_s, told.last_activity) == (None, None, None, None)


def test_red_projects_are_found_and_counted(session: Session) -> None:
    red, green, resting = (a_project(session, slug) for slug in ("red", "green", "resting"))
    an_ended_build(session, red, Result.INFRA_FAILED)
    an_ended_build(session, green)
    an_ended_build(session, resting, Result.FAILED)
    resting.status = ProjectStatus.INACTIVE
    session.flush()

    assert slugs(session, only_red=True) == ["red"]
    assert [each.project for each in glance.red_projects(session, limit=9)] == [red]
    assert glance.counts(session) == (2, 1)


@pytest.mark.parametrize("text", ["AYMENT", "example.com"])
def test_projects_are_found_by_name_and_repository(session: Session, text: str) -> None:
    a_project(session, "payments")

    assert slugs(session, text=text) == ["payments"]
    assert slugs(session, text="no such") == []


def test_projects_are_sorted_either_way_and_what_is_unknown_stands_last(session: Session) -> None:
    slow, fast, _ = (a_project(session, slug) for slug in ("slow", "fast", "never"))
    end(session, an_ended_build(session, slow), Result.PASSED, seconds=500)
    end(session, an_ended_build(session, fast), Result.FAILED, seconds=5)

    assert slugs(session) == ["fast", "never", "slow"]
    assert slugs(session, sort="took") == ["fast", "slow", "never"]
    assert slugs(session, sort="-took") == ["slow", "fast", "never"]
    assert slugs(session, sort="rate") == ["fast", "slow", "never"]


def test_an_order_that_does_not_exist_is_refused(session: Session) -> None:
    with pytest.raises(Invalid):
        slugs(session, sort="beauty")
