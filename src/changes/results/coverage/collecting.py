"""The coverage of one step: looked at while no transaction is open, and kept when the step ends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import jobs
from changes.builds import coverage_gate, second_look
from changes.builds.models import JobStep
from changes.builds.report import Problem
from changes.results import statistics
from changes.results.coverage import gates, making, patch, reading, sources, store, tasks
from changes.results.coverage.merging import Sums
from changes.results.coverage.models import StepCoverage
from changes.results.coverage.reading import Covered, Told
from changes.results.coverage.sources import Added, SourceSeen
from changes.results.models import Artifact

# Steps of one phase end together, and what they report is put together at once.
MERGED_WITHIN_S = 5


@dataclass(frozen=True)
class Seen:
    told: Told
    covered: Covered
    added: Added


def begin(session: Session, step: JobStep, left: Sequence[Artifact]) -> SourceSeen | None:
    """None for a step whose coverage nobody asks for. What is run again alone says nothing of the rest."""
    is_asked = reading.are_any(left, step.data) or coverage_gate.IS_JUDGED in step.data
    if not is_asked or second_look.is_look(step):
        return None
    return sources.of_build(session, step.job.build_id)


def look(source: SourceSeen | None, left: Sequence[Artifact], of_step: Mapping[str, Any]) -> Seen | None:
    """Without a transaction."""
    if source is None:
        return None
    told = reading.read(left, of_step)
    tree = sources.tree(source) if told.files else None
    covered = reading.place(told, tree, of_step.get("checkout_folder") or "source")
    return Seen(told, covered, sources.added(source))


def end(session: Session, step: JobStep, seen: Seen | None, others: Sequence[Problem]) -> list[Problem]:
    """Under the build's lock, before the step ends. Beside other problems it is not judged by what ran."""
    if seen is None:
        return []
    if seen.told.report_count:
        store.store(session, step, seen.covered.files, seen.covered.strange)
        statistics.put_coverage(session, [step.id], {step.id: numbers_of(seen)})
        jobs.enqueue(session, tasks.merge_coverage, step.job.build_id, due_in_s=MERGED_WITHIN_S)
    found = list(seen.told.problems)
    return found if others or found else gates.problems(session, step, seen.added)


def numbers_of(seen: Seen) -> making.Numbers:
    """Of the step by itself."""
    known = seen.covered.files
    sums = Sums(
        len(known),
        sum(each.lines_covered for each in known.values()),
        sum(each.lines_uncovered for each in known.values()),
    )
    return making.numbers(sums, None if seen.added.problem else patch.sums(seen.added.lines, known))


def leave_out(session: Session, step_ids: Collection[UUID]) -> None:
    """These are done again, so what they told is taken out of what their builds have."""
    mine = select(StepCoverage.build_id).where(StepCoverage.step_id.in_(step_ids)).distinct()
    for build_id in session.execute(mine).scalars().all():
        jobs.enqueue(session, tasks.merge_coverage, build_id, due_in_s=MERGED_WITHIN_S)
