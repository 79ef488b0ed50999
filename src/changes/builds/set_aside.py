"""A collecting step is asked again: what it named before counts no more, and what it names now is new.

Until it has answered, the steps it named before are their own successors, so nobody takes them for the
newest attempts. Then each of the new ones becomes the next attempt at an old one, as far as they go;
what was not named again stays like that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from changes.builds import collectors, copies, settle
from changes.builds.models import BazelTarget, JobStep
from changes.builds.rules import Origin
from changes.builds.second_look import LOOKS_AT


@dataclass(frozen=True)
class Earlier:
    id: UUID
    label: str
    attempt: int


def named_by(session: Session, phase_ids: Sequence[UUID]) -> None:
    """Sets aside all that stands in these phases; the build is locked, and none of it runs."""
    named = select(JobStep.id, JobStep.job_id).where(
        JobStep.phase_id.in_(phase_ids), JobStep.replacement_id.is_(None)
    )
    rows = session.execute(named).all()
    settle.set_aside(session, phase_ids)
    copies.forget_read(session)
    if not rows:
        return
    # Targets that are not run belong to no step, but to what was collected.
    of_no_step = delete(BazelTarget).where(BazelTarget.step_id.is_(None))
    session.execute(of_no_step.where(BazelTarget.job_id.in_({row.job_id for row in rows})))
    collectors.collector.get().leave_out(session, [row.id for row in rows])


def looks_at(session: Session, phase_ids: Collection[UUID], step_ids: Collection[UUID]) -> None:
    """Second looks at steps that are done again count no more: there is something else to look at."""
    mine = update(JobStep).where(JobStep.phase_id.in_(phase_ids), JobStep.replacement_id.is_(None))
    theirs = mine.where(JobStep.data[LOOKS_AT].astext.in_([step_id.hex for step_id in step_ids]))
    session.execute(theirs.values(replacement_id=JobStep.id))


def earlier_in(session: Session, phase_id: UUID) -> list[Earlier]:
    mine = select(JobStep.id, JobStep.label, JobStep.attempt).where(
        JobStep.phase_id == phase_id, JobStep.replacement_id == JobStep.id
    )
    return [Earlier(*row) for row in session.execute(mine.order_by(JobStep.id))]


def paired(earlier: Sequence[Earlier], labels: Sequence[str]) -> dict[int, Earlier]:
    """Which of the new ones, by its place, comes after which: of the same name, else of the same place
    among the rest.
    """
    by_label: dict[str, list[Earlier]] = {}
    for each in earlier:
        by_label.setdefault(each.label, []).append(each)
    found = {place: by_label[label].pop(0) for place, label in enumerate(labels) if by_label.get(label)}
    taken = {each.id for each in found.values()}
    rest = [each for each in earlier if each.id not in taken]
    open_places = [place for place in range(len(labels)) if place not in found]
    return {**found, **dict(zip(open_places, rest, strict=False))}


def origin_of(collector: Origin) -> Origin:
    """What it named was not lost, whatever became of itself: machines are not blamed for it."""
    return Origin.ASKED if collector == Origin.ASKED else Origin.POLICY
