"""Tests that were collected and that their shards did not report, or more than one did."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import reasons, second_look
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, Status
from changes.builds.sharding import without_report
from changes.results import testruns
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestBatch, TestRun

NAMES_SHOWN = 20


def must_report(session: Session, step: JobStep) -> bool:
    """Whether it matters that a step left no report: it was expected, or it ends the work of its phase."""
    return bool(step.data.get("expects_tests")) or ("tests" in step.data and is_last(session, step))


def problems(session: Session, step: JobStep, seen: Sequence[TestSeen]) -> list[Problem]:
    """Called under the build's lock, with the tests of the step stored."""
    found = []
    if step.data.get("expects_tests") and not seen:
        found.append(
            missing(
                "Tests were expected of this step, and none were reported (build.expect-tests of its plan)."
            )
        )
    collected: list[str] = step.data.get("tests", [])
    if not collected:
        return found
    lacking = without_report(collected, (test.name for test in seen)) if seen else []
    if lacking:
        found.append(
            missing(
                f"{len(lacking)} of {len(collected)} collected tests were not reported: {listed(lacking)}."
            )
        )
    found += doubled(session, step)
    if not found and is_last(session, step):
        found += silent(session, step)
    return found


def missing(message: str) -> Problem:
    return Problem(Reason(reasons.MISSING_TESTS, {"message": message}))


def listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def doubled(session: Session, step: JobStep) -> list[Problem]:
    """Both runs are kept; the step that ended later says so."""
    of_step = select(TestRun.test_id).join(TestBatch, testruns.is_in_batch())
    mine = of_step.where(TestBatch.step_id == step.id)
    theirs = of_step.join(JobStep, JobStep.id == TestBatch.step_id).where(
        TestBatch.job_id == step.job_id,
        JobStep.phase_id == step.phase_id,
        JobStep.id != step.id,
        JobStep.replacement_id.is_(None),
    )
    found = select(Test.name).where(Test.id.in_(mine), Test.id.in_(theirs)).order_by(Test.name)
    names = list(session.execute(found).scalars())
    if not names:
        return []
    return [Problem(Reason(reasons.DUPLICATE_TEST_NAME, {"count": len(names), "names": listed(names)}))]


def is_last(session: Session, step: JobStep) -> bool:
    others = select(JobStep.id).where(
        JobStep.phase_id == step.phase_id,
        JobStep.id != step.id,
        JobStep.replacement_id.is_(None),
        JobStep.status != Status.FINISHED,
        # What is looked at again was read, and the look has none of the collected tests.
        ~JobStep.data.has_key(second_look.STATE),
        ~JobStep.data.has_key(second_look.LOOKS_AT),
    )
    return session.execute(others.limit(1)).first() is None


def silent(session: Session, step: JobStep) -> list[Problem]:
    """Shards that passed without a report while others have one: nobody knows what they ran.

    Where no shard reports anything, that is how this project does it.
    """
    runs = select(TestBatch.id).where(TestBatch.step_id == JobStep.id).exists()
    shards = select(JobStep.id, JobStep.label, JobStep.result, JobStep.data["tests"], runs).where(
        JobStep.phase_id == step.phase_id,
        JobStep.replacement_id.is_(None),
        ~JobStep.data.has_key(second_look.LOOKS_AT),
    )
    rows = session.execute(shards.order_by(JobStep.id)).all()
    mute = [(row[1], row[3]) for row in rows if not row[4] and row[2] == Result.PASSED]
    if not mute or not any(row[4] for row in rows):
        return []
    labels = listed([label for label, _ in mute])
    names = [name for _, collected in mute for name in collected]
    return [missing(f"{labels} passed and reported none of the collected tests: {listed(names)}.")]
