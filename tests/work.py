"""Builds that have ended, with jobs and steps that took their time on machines, and counted."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session
from tests import factories, finished

from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.results.figures import counting

BUILD_S, STEP_S, WAITED_S = 95, 30, 5
PLAN = "unit tests"


def a_project(session: Session, slug: str) -> Project:
    """With one plan."""
    project = factories.a_project(session, slug)
    factories.a_plan(session, project, {"commands": ["true"]}, label=PLAN)
    return project


def an_ended_build(session: Session, project: Project, result: Result = Result.PASSED) -> Build:
    """With one job, whose step ran on a machine of its own."""
    build = factories.a_build(session, project, plans=0)
    (step,) = factories.steps_of(session, build)
    factories.give_to(session, step, factories.a_node(session))
    step.status, step.result = Status.FINISHED, result
    step.date_pending = build.date_created
    step.date_started = build.date_created + timedelta(seconds=WAITED_S)
    step.date_finished = step.date_started + timedelta(seconds=STEP_S)
    job = step.job
    job.status, job.result = Status.FINISHED, result
    job.date_started, job.date_finished = step.date_started, step.date_finished
    finished.end(session, build, result, seconds=BUILD_S)
    return build


def count(session: Session, builds: Sequence[Build]) -> int:
    session.flush()
    counting.note(session, [build.id for build in builds])
    return counting.count_stale(session)
