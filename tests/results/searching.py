"""A project of nine commits in a row, and builds of them that say how one test went."""

from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents

from changes.base import ids
from changes.builds import outside, outside_report
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build
from changes.builds.outside import Told
from changes.builds.outside_report import Ending
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import collect, models

COMMITS = 9
NAME = "a.breaks"


def sha(number: int) -> str:
    return f"{number:040x}"


def a_project(session: Session, slug: str = "") -> Project:
    """Of commits 1 to 9, each the child of the one before, of which nothing is built."""
    made = factories.a_project(session, slug)
    factories.a_plan(session, made, {"commands": ["run"]}, label="tests")
    factories.a_plan(session, made, {"commands": ["verify"]}, label="verify")
    for number in range(1, COMMITS + 1):
        revision = factories.a_source(session, made, sha=sha(number)).revision
        revision.parents = [sha(number - 1)] if number > 1 else []
        revision.message = f"Commit {number}"
    session.flush()
    return made


def report(*, passed: bool) -> bytes:
    said = "" if passed else "<failure>no</failure>"
    return f'<testsuite><testcase name="{NAME}">{said}</testcase></testsuite>'.encode()


def build_at(session: Session, project: Project, number: int, *, passed: bool) -> Build:
    """One of all plans, which somebody had asked for."""
    source = factories.a_source(session, project, sha=sha(number))
    build = create_build(session, project, NewBuild(source, ids.new(), "A build", "", "", None))
    end(session, build, passed=passed)
    return build


def build_at_both(
    session: Session, project: Project, number: int, *, passed: bool, other_passed: bool
) -> Build:
    """One in which the other plan runs the test, too, and ends last."""
    source = factories.a_source(session, project, sha=sha(number))
    build = create_build(session, project, NewBuild(source, ids.new(), "A build", "", "", None))
    for step, is_good in zip(factories.steps_of(session, build), (passed, other_passed), strict=True):
        factories.give_to(session, step, factories.a_node(session))
        agents.leave_behind(session, step, report(passed=is_good))
        agents.end(session, step, code=0 if is_good else 1)
        collect.collect_step(step.id)
    session.expire_all()
    return build


def end(session: Session, build: Build, *, passed: bool) -> None:
    """Its first step runs the test; the others have none."""
    for place, step in enumerate(factories.steps_of(session, build)):
        factories.give_to(session, step, factories.a_node(session))
        if place == 0:
            agents.leave_behind(session, step, report(passed=passed))
        agents.end(session, step, code=0 if passed or place else 1)
        collect.collect_step(step.id)
    session.expire_all()


def end_without_the_test(session: Session, build: Build) -> None:
    """As where it does not compile."""
    for step in factories.steps_of(session, build):
        factories.give_to(session, step, factories.a_node(session))
        agents.end(session, step, code=1)
        collect.collect_step(step.id)
    session.expire_all()


def lose(session: Session, build: Build) -> None:
    """By machines, after a minute and a half."""
    finished.end(session, build, Result.INFRA_FAILED)
    session.expire_all()


def told_at(session: Session, project: Project, number: int, *, passed: bool, part: str = "py3") -> Build:
    """A build that ran elsewhere, as `changes report` tells of it."""
    told = Told(external_id=f"run {number} {part}", sha=sha(number), jobs=[part])
    build = outside.hear(session, project, told)
    (step,) = factories.steps_of(session, build)
    outside_report.start(session, step.id)
    agents.leave_behind(session, step, report(passed=passed))
    outside_report.end(session, step.id, Ending())
    collect.collect_step(step.id)
    session.expire_all()
    return build


def a_broken_test(session: Session, project: Project) -> models.Test:
    """It passes at the first commit and fails at the last."""
    build_at(session, project, 1, passed=True)
    build_at(session, project, COMMITS, passed=False)
    return the_test(session, project)


def the_test(session: Session, project: Project) -> models.Test:
    return session.execute(select(models.Test).where(models.Test.project_id == project.id)).scalar_one()
