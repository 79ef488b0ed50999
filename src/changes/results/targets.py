"""What became of the targets of Bazel that a step ran."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import reasons
from changes.builds.models import BazelTarget, JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, aggregate_result
from changes.results import rules
from changes.results.formats.seen import DURATION_MAX_MS, TestSeen
from changes.results.shards import listed


def record(session: Session, step: JobStep, by_report: Mapping[str, Sequence[TestSeen]]) -> list[Problem]:
    """A target of which nothing was reported has no result, and that is a failure."""
    if "targets" not in step.data:
        return []
    reported: dict[str, list[TestSeen]] = {}
    for path, tests in by_report.items():
        name = rules.target_in(path, step.data)
        if name is not None:
            # One target may leave several files, of its shards or attempts.
            reported.setdefault(name, []).extend(tests)
    mine = select(BazelTarget).where(BazelTarget.step_id == step.id).order_by(BazelTarget.name)
    lacking = []
    for target in session.execute(mine).scalars():
        if target.name in reported:
            note(target, reported[target.name])
        elif target.result == Result.UNKNOWN:
            lacking.append(target.name)
    if not lacking:
        return []
    facts = {"count": len(lacking), "names": listed(lacking)}
    return [Problem(Reason(reasons.MISSING_TARGETS, facts))]


def note(target: BazelTarget, tests: Sequence[TestSeen]) -> None:
    # A target whose file names no test has passed: Bazel writes one for every target that it ran.
    results = [Result[test.result.upper()] for test in tests]
    target.result = aggregate_result(results) if results else Result.PASSED
    durations = [test.duration_ms for test in tests]
    took_ms = min(sum(each or 0 for each in durations), DURATION_MAX_MS)
    target.duration_ms = None if None in durations else took_ms
