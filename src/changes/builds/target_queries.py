"""Targets of Bazel that a build names: what they came to, here or in the build of the commit below."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds.bazel import ResultSource
from changes.builds.models import BazelTarget, Job, JobPhase, JobStep
from changes.builds.rules import CommandType, Result, Status

KIND = CommandType.COLLECT_BAZEL_TARGETS.name.lower()
Key = ColumnElement[Any] | InstrumentedAttribute[Any]
FAILURES_FIRST = case({Result.FAILED: 0, Result.UNKNOWN: 1}, value=BazelTarget.result, else_=2)
SORTS: Mapping[str, Sequence[Key]] = {
    "failures": (FAILURES_FIRST, BazelTarget.name),
    "name": (BazelTarget.name,),
    "duration": (-func.coalesce(BazelTarget.duration_ms, -1), BazelTarget.name),
}


@dataclass(frozen=True)
class TargetsAsked:
    """`text` is any part of the name; `sort` is a name of SORTS."""

    text: str = ""
    result: Result | None = None
    sort: str = "failures"
    is_reversed: bool = False


@dataclass(frozen=True)
class TargetSeen:
    target: BazelTarget
    # Of one without a result: how far the step is that runs it.
    status: Status


def of_build(session: Session, build_id: UUID, page: Page, asked: TargetsAsked) -> Part[TargetSeen]:
    found = current(build_id).add_columns(JobStep.status)
    if asked.text:
        found = found.where(func.lower(BazelTarget.name).contains(asked.text.lower(), autoescape=True))
    if asked.result is not None:
        found = found.where(BazelTarget.result == asked.result)
    keys = [*SORTS[asked.sort], BazelTarget.id]
    found = found.order_by(*(key.desc() if asked.is_reversed else key for key in keys))
    rows = session.execute(found.offset(page.offset).limit(page.size + 1)).all()
    seen = [TargetSeen(target, status_of(target, status)) for target, status in rows[: page.size]]
    return Part(seen, has_next=len(rows) > page.size, has_previous=page.number > 1)


def status_of(target: BazelTarget, of_step: Status | None) -> Status:
    return Status.FINISHED if target.result != Result.UNKNOWN else of_step or Status.UNKNOWN


@dataclass(frozen=True)
class Sums:
    by_result: Mapping[Result, int]
    run_here: int
    taken_over: int
    left_out: int

    @property
    def total(self) -> int:
        return self.run_here + self.taken_over + self.left_out


def sums(session: Session, build_id: UUID) -> Sums:
    of = current(build_id).subquery().c
    counted = select(of.result, of.source, of.step_id.is_not(None), func.count())
    rows = session.execute(counted.group_by(of.result, of.source, of.step_id.is_not(None))).all()
    by_result: Counter[Result] = Counter()
    for result, _, _, count in rows:
        by_result[result] += count
    run_here = sum(count for _, _, is_run, count in rows if is_run)
    taken_over = sum(count for _, source, _, count in rows if source == ResultSource.FROM_PARENT)
    return Sums(by_result, run_here, taken_over, by_result.total() - run_here - taken_over)


def current(build_id: UUID) -> Any:
    """Without those of attempts that were made again."""
    mine = select(BazelTarget).join(Job, Job.id == BazelTarget.job_id).where(Job.build_id == build_id)
    of_step = mine.outerjoin(JobStep, JobStep.id == BazelTarget.step_id)
    return of_step.where(JobStep.replacement_id.is_(None))


def target(session: Session, build_id: UUID, target_id: UUID) -> BazelTarget:
    mine = select(BazelTarget).join(Job, Job.id == BazelTarget.job_id)
    found = session.execute(mine.where(BazelTarget.id == target_id, Job.build_id == build_id))
    row = found.scalar_one_or_none()
    if row is None:
        raise NotFound("The build has no such target.")
    return row


@dataclass(frozen=True)
class Message:
    """What a command said that collected targets; it is known by the phase and its place there."""

    id: UUID
    text: str
    date_created: datetime


def messages(session: Session, build_id: UUID) -> list[Message]:
    """The oldest first."""
    collected = JobPhase.data["collected"]
    said = select(JobPhase.id, JobPhase.date_created, collected["messages"])
    said = said.join(Job, Job.id == JobPhase.job_id).where(Job.build_id == build_id)
    rows = session.execute(said.where(collected["kind"].as_string() == KIND).order_by(JobPhase.id)).all()
    return [
        Message(uuid5(phase_id, str(place)), text, created)
        for phase_id, created, texts in rows
        for place, text in enumerate(texts or [])
    ]
