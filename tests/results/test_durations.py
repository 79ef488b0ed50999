from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting
from tests.results.test_shards import junit

from changes.base.db import Session as AnySession
from changes.builds.history import Asked
from changes.builds.models import Build, JobPlan, JobStep
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import collect
from changes.results.durations import StoredDurations


def passed(
    session: Session, project: Project, branch: str, tests: Mapping[str, int], sha: str = "a" * 40
) -> Build:
    """A build of a commit on the branch whose only step reported these tests."""
    source = factories.a_source(session, project, sha=sha)
    source.revision.branches = [branch]
    session.flush()
    build = collecting.build_of(session, project, source)
    (step,) = collecting.take(session, build)
    agents.begin(session, step)
    cases = "".join(f'<testcase name="{name}" time="{ms / 1000}"/>' for name, ms in tests.items())
    agents.leave_behind(session, step, f"<testsuite>{cases}</testsuite>".encode())
    agents.end(session, step)
    collect.collect_step(step.id)
    return build


def plan_of(session: AnySession, build: Build) -> JobPlan:
    return session.query(JobPlan).filter_by(build_id=build.id).one()


def a_project(session: Session) -> Project:
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["test"]})
    return project


def test_the_newest_job_on_the_branch_says_how_long_tests_take(session: Session) -> None:
    project = a_project(session)
    passed(session, project, "main", {"a": 100})
    build = passed(session, project, "main", {"a": 200}, "b" * 40)
    passed(session, project, "stable", {"a": 900}, "c" * 40)

    asked = Asked(project.id, plan_of(session, build).plan_id, ["main"])

    assert StoredDurations().of_tests(session, asked).tests == {"a": 200}


def test_without_the_branch_the_plan_itself_says_it(session: Session) -> None:
    project = a_project(session)
    build = passed(session, project, "main", {"a": 100})

    asked = Asked(project.id, plan_of(session, build).plan_id, ["new"])

    assert StoredDurations().of_tests(session, asked).tests == {"a": 100}


def test_without_a_history_of_the_plan_its_project_says_it(session: Session) -> None:
    project = a_project(session)
    passed(session, project, "main", {"a": 100})

    assert StoredDurations().of_tests(session, Asked(project.id, None)).tests == {"a": 100}


def test_nothing_is_known_of_a_new_project(session: Session) -> None:
    asked = Asked(a_project(session).id, None, ["main"])

    assert StoredDurations().of_tests(session, asked).tests == {}


def test_a_job_that_failed_says_nothing(session: Session) -> None:
    project = a_project(session)
    build = passed(session, project, "main", {"a": 100})
    agents.jobs_of(session, build)[0].result = Result.FAILED
    session.flush()

    assert StoredDurations().of_tests(session, Asked(project.id, None)).tests == {}


def test_what_shards_take_beside_their_tests_is_their_set_up(session: Session) -> None:
    build = collecting.a_build_of(session, collecting.COLLECT_TESTS)
    collecting.collect(session, build, collecting.tests_named("t.a"))
    (shard,) = collecting.take(session, build)
    agents.leave_behind(session, shard, junit("a"))
    agents.end(session, shard)
    collect.collect_step(shard.id)
    lasted(session, shard, seconds=31)

    found = StoredDurations().of_tests(session, Asked(build.project_id, None))

    assert (found.tests, found.setup_ms) == ({"t.a": 1000}, 30_000)


def lasted(session: Session, step: JobStep, *, seconds: float) -> None:
    session.refresh(step)
    assert step.date_started is not None
    step.date_finished = step.date_started + timedelta(seconds=seconds)
    session.flush()
