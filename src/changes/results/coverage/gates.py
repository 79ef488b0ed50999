"""Judges a job by how much of the code it ran, at the end of its last step and under the build's lock."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import coverage_gate, explaining, reasons, second_look, terms
from changes.builds.coverage_gate import WARN, CoverageGate
from changes.builds.models import JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result
from changes.results import vanished
from changes.results.coverage import making
from changes.results.coverage.models import StepCoverage
from changes.results.coverage.sources import Added

LEAST, LEAST_OF_PATCH = ("lines_covered", "lines_uncovered"), ("diff_lines_covered", "diff_lines_uncovered")


def must_judge(session: Session, step: JobStep) -> bool:
    """Also a step that left no report: it may be the last of a job that has others."""
    return bool(step.data.get(coverage_gate.IS_JUDGED)) and is_last(session, step)


def is_last(session: Session, step: JobStep) -> bool:
    """Where something failed there is a better reason. At its report a step's result is not known yet."""
    is_good = step.result in (Result.PASSED, Result.UNKNOWN)
    is_plain = "expands_into" not in step.data and not second_look.is_look(step)
    return is_good and is_plain and vanished.is_last_and_all_passed(session, step)


def problems(session: Session, step: JobStep, added: Added) -> list[Problem]:
    """Called with the coverage of the step stored. What is only told of is noted."""
    if not must_judge(session, step):
        return []
    gate = gate_of(session, step)
    sentences = list(lacking(session, step, gate, added))
    if not sentences:
        return []
    facts = {"message": " ".join(sentences)}
    if gate.below != WARN:
        return [Problem(Reason(reasons.COVERAGE_LOW, facts))]
    explaining.explain(session, step.job.build_id, Reason(reasons.COVERAGE_NOTED, facts), step=step)
    return []


def gate_of(session: Session, step: JobStep) -> CoverageGate:
    plan = session.execute(select(JobPlan).where(JobPlan.job_id == step.job_id)).scalar_one_or_none()
    return terms.thawed(plan.data).coverage if plan else coverage_gate.OPEN


def lacking(session: Session, step: JobStep, gate: CoverageGate, added: Added) -> Iterator[str]:
    mine = select(StepCoverage.step_id).where(StepCoverage.job_id == step.job_id).limit(1)
    if session.execute(mine).first() is None:
        if gate.asks and not gate.is_of_project:
            yield "Its plan asks for coverage, and none was reported."
        return
    found = making.numbers_of_job(session, step.project_id, step.job_id, added)
    told = gate_words(gate)
    if too_little(gate.least, *(found[name] for name in LEAST)):
        share = shown(*(found[name] for name in LEAST))
        yield f"{share} of the lines that can run have run; {told} asks for {gate.least}%."
    if gate.least_of_patch is None:
        return
    if added.problem:
        yield f"Whether the changed lines have run is not known. {added.problem}"
    elif too_little(gate.least_of_patch, *(found[name] for name in LEAST_OF_PATCH)):
        share = shown(*(found[name] for name in LEAST_OF_PATCH))
        yield f"{share} of the lines that it adds have run; {told} asks for {gate.least_of_patch}%."


def gate_words(gate: CoverageGate) -> str:
    return "the project" if gate.is_of_project else "the plan"


def too_little(least: int | None, covered: int, uncovered: int) -> bool:
    """A change without any line that could run is right."""
    total = covered + uncovered
    return least is not None and total > 0 and covered * 100 < least * total


def shown(covered: int, uncovered: int) -> str:
    """Never rounded up to what was asked for."""
    per_mille = covered * 1000 // (covered + uncovered)
    return f"{per_mille // 10}.{per_mille % 10}%"
