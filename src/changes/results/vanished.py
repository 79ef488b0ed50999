"""Tests that ran whenever a plan passed lately, and did not run this time: somebody lost them, or meant it.

A commit is compared with the last builds of the plan that passed on its branches; a patch with the build of
the very commit that it changes. What ran in each of them was expected. Who takes tests away on purpose says
so in the message of the commit: `Removes-Tests: suite.old.*`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from changes.builds import explaining, reasons, second_look, terms
from changes.builds.models import Build, Job, JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Cause, Result, Status
from changes.projects.models import Revision, Source
from changes.results import testruns
from changes.results.models import Test, TestBatch, TestRun
from changes.results.shards import listed

# So many builds that passed, of the newest so many jobs of the plan, or else of more.
COMPARED_WITH, LOOKED_AT = 3, (50, 1000)
# Where more are gone, it is no list of names that helps.
NAMES_MAX, NAMES_KEPT = 10_000, 200
TRAILER, PATTERNS_MAX, PATTERN_MAX = "removes-tests:", 20, 200
OFF, FAIL = "off", "fail"


@dataclass(frozen=True)
class Expectation:
    """The jobs that say what should run, newest first."""

    job_ids: Sequence[UUID]
    way: str


def problems(session: Session, step: JobStep, *, excused: int = 0) -> list[Problem]:
    """Called under the build's lock, with the tests of the step stored. A warning is only noted. `excused`
    says that it failed for nothing but so many tests that may fail.
    """
    expected = expectation(session, step, excused=excused)
    if expected is None:
        return []
    names = vanished(session, step, expected)
    if not names:
        return []
    facts = {"message": sentence(session, step, expected, names), "tests": names[:NAMES_KEPT]}
    if expected.way == FAIL:
        return [Problem(Reason(reasons.MISSING_TESTS, facts))]
    explaining.explain(session, step.job.build_id, Reason(reasons.VANISHED_TESTS, facts), step=step)
    return []


def expectation(session: Session, step: JobStep, *, excused: int = 0) -> Expectation | None:
    """None while others of the job still run, and where nothing can be expected of it, as a runner stops at a
    failure.

    At the report of a step its result is not known yet; when it has been read, it is, also where it is not
    shown before the failures were looked at.
    """
    said = second_look.awaited(step)
    if (
        (said not in (Result.PASSED, Result.UNKNOWN) and not excused)
        or "expands_into" in step.data
        or second_look.is_look(step)
    ):
        return None
    plan = session.execute(select(JobPlan).where(JobPlan.job_id == step.job_id)).scalar_one_or_none()
    way = terms.thawed(plan.data).vanished_tests if plan else OFF
    if plan is None or way == OFF or not is_last_and_all_passed(session, step):
        return None
    job_ids = comparable(session, step, plan.plan_id)
    return Expectation(job_ids, way) if job_ids else None


def is_last_and_all_passed(session: Session, step: JobStep) -> bool:
    """Where something failed or was left out, it is no wonder that tests did not run."""
    others = select(JobStep.id).where(
        JobStep.job_id == step.job_id,
        JobStep.id != step.id,
        JobStep.replacement_id.is_(None),
        ~JobStep.data.has_key(second_look.LOOKS_AT),
        or_(JobStep.status != Status.FINISHED, JobStep.result != Result.PASSED),
    )
    return session.execute(others.limit(1)).first() is None


def comparable(session: Session, step: JobStep, plan_id: UUID) -> Sequence[UUID]:
    build = session.get_one(Build, step.job.build_id)
    if build.cause == Cause.SNAPSHOT or build.wishes.get("parameters"):
        return []
    passed = passed_before(step, plan_id, build.source)
    if build.source.patch_id is not None:
        return session.execute(passed).scalars().all()
    # Where patches are many, commits are further back.
    found = (session.execute(passed.where(newest(plan_id, most))).scalars().all() for most in LOOKED_AT)
    return next(filter(None, found), [])


def passed_before(step: JobStep, plan_id: UUID, source: Source) -> Select[UUID]:
    """Jobs of the plan, of commits like this one; those of one commit are few, and found by it."""
    found = (
        select(Job.id)
        .join(JobPlan, JobPlan.job_id == Job.id)
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .outerjoin(Revision, is_revision_of_source())
        .where(Source.repository_id == source.repository_id, Source.patch_id.is_(None), is_alike(source))
        .where(JobPlan.plan_id == plan_id, Job.id < step.job_id, Build.cause != Cause.SNAPSHOT)
        .where(Job.status == Status.FINISHED, Job.result == Result.PASSED)
        .where(select(TestBatch.id).where(TestBatch.job_id == Job.id).exists())
    )
    return found.order_by(Job.id.desc()).limit(COMPARED_WITH)


def newest(plan_id: UUID, most: int) -> ColumnElement[bool]:
    mine = select(JobPlan.job_id).where(JobPlan.plan_id == plan_id)
    return Job.id.in_(mine.order_by(JobPlan.id.desc()).limit(most))


def is_revision_of_source() -> ColumnElement[bool]:
    return and_(Revision.repository_id == Source.repository_id, Revision.sha == Source.revision_sha)


def is_alike(source: Source) -> ColumnElement[bool]:
    """Tests of another branch are other tests, and those of a newer commit a patch cannot have."""
    if source.patch_id is not None:
        return Source.revision_sha == source.revision_sha
    branches = list(source.revision.branches)
    is_on_one: ColumnElement[bool] = Revision.branches.overlap(branches)
    return is_on_one if branches else func.coalesce(func.cardinality(Revision.branches), 0) == 0


def vanished(session: Session, step: JobStep, expected: Expectation) -> list[str]:
    """What an attempt ran that was lost, or done once more, is not what the job ran."""
    of_jobs = select(TestRun.test_id).join(TestBatch, testruns.is_in_batch())
    of_jobs = of_jobs.where(testruns.of_newest_attempt())
    before = of_jobs.where(TestBatch.job_id.in_(expected.job_ids)).group_by(TestRun.test_id)
    always = before.having(func.count(TestBatch.job_id.distinct()) == len(expected.job_ids))
    now = of_jobs.where(TestBatch.job_id == step.job_id)
    found = select(Test.name).where(Test.id.in_(always.except_(now)))
    names = session.execute(found.order_by(Test.name).limit(NAMES_MAX)).scalars().all()
    patterns = announced(said_of(session.get_one(Build, step.job.build_id)))
    return [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]


def said_of(build: Build) -> str:
    return f"{build.message}\n{build.source.revision.message}"


def announced(message: str) -> list[str]:
    """Patterns of tests that a commit takes away on purpose."""
    lines = [line.strip() for line in message.splitlines()]
    said = [line[len(TRAILER) :].strip() for line in lines if line.lower().startswith(TRAILER)]
    return [pattern for pattern in said if pattern and len(pattern) <= PATTERN_MAX][:PATTERNS_MAX]


def sentence(session: Session, step: JobStep, expected: Expectation, names: Sequence[str]) -> str:
    count = "1 test" if len(names) == 1 else f"{len(names)} tests"
    compared = "the last build that passed" if len(expected.job_ids) == 1 else "the last builds that passed"
    ran = select(TestBatch.id).where(TestBatch.job_id == step.job_id, testruns.of_newest_attempt()).limit(1)
    if session.execute(ran).first() is None:
        return f"It ran no tests and passed, while {count} ran in {compared}: {listed(names)}."
    return f"{count} ran in {compared} and not in this one: {listed(names)}."
