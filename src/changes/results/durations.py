"""Plays the role of `builds.history.DurationHistory` from the runs that are stored."""

from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from changes.builds.history import Asked
from changes.builds.models import BazelTarget, Build, Job, JobPlan, JobStep
from changes.builds.rules import Result, Status
from changes.builds.sharding import Durations
from changes.projects.models import Revision, Source
from changes.results import testruns
from changes.results.models import Test, TestBatch, TestRun

# So far back it is looked for a job that passed and measured something.
LOOKED_AT = 200
MS_PER_S = 1000


class StoredDurations:
    def of_tests(self, session: Session, asked: Asked) -> Durations:
        job_id = best_job(session, asked, TestBatch.job_id == Job.id)
        if job_id is None:
            return Durations()
        runs = (
            select(Test.name, func.sum(TestRun.duration_ms))
            .join(Test, Test.id == TestRun.test_id)
            .join(TestBatch, testruns.is_in_batch())
            .where(TestBatch.job_id == job_id, TestRun.duration_ms.is_not(None))
            .where(testruns.of_newest_attempt())
            .group_by(Test.name)
        )
        tests = {row[0]: int(row[1] or 0) for row in session.execute(runs)}
        return Durations(tests, setup_ms(session, job_id))

    def of_targets(self, session: Session, asked: Asked) -> Durations:
        job_id = best_job(session, asked, BazelTarget.job_id == Job.id)
        if job_id is None:
            return Durations()
        measured = select(BazelTarget.name, BazelTarget.duration_ms).where(
            BazelTarget.job_id == job_id, BazelTarget.duration_ms.is_not(None)
        )
        return Durations({row[0]: row[1] or 0 for row in session.execute(measured)})


def best_job(session: Session, asked: Asked, measured: ColumnElement[bool]) -> UUID | None:
    """The newest passed one of the plan on one of the branches, else of the plan, else of the project."""
    of_plan = newest_of_plan(asked.plan_id) if asked.plan_id else None
    for newest in (of_plan, newest_of_project(asked.project_id)):
        if newest is None:
            continue
        found = session.execute(passed(newest, asked, measured)).scalar_one_or_none()
        if found is not None:
            return found
    return None


def newest_of_plan(plan_id: UUID) -> Select[Any]:
    return (
        select(JobPlan.job_id).where(JobPlan.plan_id == plan_id).order_by(JobPlan.id.desc()).limit(LOOKED_AT)
    )


def newest_of_project(project_id: UUID) -> Select[Any]:
    builds = select(Build.id).where(Build.project_id == project_id).order_by(Build.id.desc()).limit(LOOKED_AT)
    return select(Job.id).where(Job.build_id.in_(builds))


def passed(newest: Select[Any], asked: Asked, measured: ColumnElement[bool]) -> Select[UUID]:
    is_on_branch = Revision.branches.overlap(list(asked.branches))
    found = (
        select(Job.id)
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .join(
            Revision,
            (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha),
        )
        .where(Job.id.in_(newest), Job.status == Status.FINISHED, Job.result == Result.PASSED)
        .where(select(1).where(measured).exists())
    )
    return found.order_by(is_on_branch.desc(), Job.id.desc()).limit(1)


def setup_ms(session: Session, job_id: UUID) -> int:
    """What a shard took beside its tests: checkout, set-up, start of the runner."""
    took_s = func.extract("epoch", JobStep.date_finished - JobStep.date_started)
    in_tests = select(func.coalesce(func.sum(TestRun.duration_ms), 0))
    in_tests = in_tests.join(TestBatch, testruns.is_in_batch()).where(TestBatch.step_id == JobStep.id)
    shards = select(took_s, in_tests.scalar_subquery()).where(
        JobStep.job_id == job_id, JobStep.data.has_key("tests"), JobStep.date_started.is_not(None)
    )
    beside = [
        max(0, round(float(took) * MS_PER_S) - int(tests)) for took, tests in session.execute(shards) if took
    ]
    return int(median(beside)) if beside else 0
