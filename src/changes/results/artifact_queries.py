"""Files of a build, a job or a step, in the order in which they are read: by job, by step, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager, joinedload
from sqlalchemy.sql import Select

from changes.base.paging import Page, Part, part
from changes.base.settings import Settings
from changes.builds.models import Build, Job, JobStep
from changes.projects import keep_names
from changes.projects.keep_names import NameRule
from changes.projects.models import ProjectOption
from changes.projects.options import KEEP_DAYS, KEEP_NAMES
from changes.results.keeping_rules import FOR_EVER, Kind, days_of
from changes.results.models import Artifact

# Together in one ZIP; beyond, people take the steps one by one.
TOGETHER_MAX = 10_000


@dataclass(frozen=True)
class Wanted:
    """Exactly one of the first three is set; `name` is a part of the name."""

    build_id: UUID | None = None
    job_id: UUID | None = None
    step_id: UUID | None = None
    name: str = ""


@dataclass(frozen=True)
class Sum:
    files: int
    size_bytes: int
    removed: int


@dataclass(frozen=True)
class Kept:
    """How long the files of a build are kept, by their names; None where it is for ever."""

    ended: datetime | None
    usual_days: int
    rules: Sequence[NameRule]

    def until(self, name: str) -> datetime | None:
        days = next((rule.days for rule in self.rules if rule.fits(name)), self.usual_days)
        return None if days == FOR_EVER or self.ended is None else self.ended + timedelta(days=days)


def listed(session: Session, wanted: Wanted, page: Page) -> Part[Artifact]:
    """Each with its step and job."""
    loaded = contains_eager(Artifact.step).contains_eager(JobStep.job)
    found = fitting(select(Artifact), wanted).options(loaded)
    return part(session, found.order_by(Job.number, JobStep.id, Artifact.name, Artifact.id), page)


def fitting(found: Select[Artifact], wanted: Wanted) -> Select[Artifact]:
    found = found.join(JobStep, JobStep.id == Artifact.step_id).join(Job, Job.id == JobStep.job_id)
    if wanted.build_id is not None:
        found = found.where(Job.build_id == wanted.build_id)
    if wanted.job_id is not None:
        found = found.where(Artifact.job_id == wanted.job_id)
    if wanted.step_id is not None:
        found = found.where(Artifact.step_id == wanted.step_id)
    if wanted.name:
        found = found.where(Artifact.name.icontains(wanted.name, autoescape=True))
    return found


def summed(session: Session, wanted: Wanted) -> Sum:
    is_removed = Artifact.date_removed.is_not(None)
    ids = fitting(select(Artifact), wanted).with_only_columns(
        func.count(),
        func.coalesce(func.sum(Artifact.size_bytes).filter(~is_removed), 0),
        func.count().filter(is_removed),
    )
    row = session.execute(ids).one()
    return Sum(int(row[0]), int(row[1]), int(row[2]))


def together(session: Session, wanted: Wanted) -> list[Artifact]:
    """Those that are still here, as many as fit into one ZIP."""
    loaded = contains_eager(Artifact.step).contains_eager(JobStep.job)
    found = fitting(select(Artifact), wanted).where(Artifact.date_removed.is_(None)).options(loaded)
    ordered = found.order_by(Job.number, JobStep.id, Artifact.name).limit(TOGETHER_MAX)
    return list(session.execute(ordered).scalars())


def with_step(session: Session, artifact_id: UUID) -> Artifact | None:
    """With the step, the job and the build that it belongs to."""
    whole = joinedload(Artifact.step).joinedload(JobStep.job).joinedload(Job.build)
    return session.get(Artifact, artifact_id, options=[whole])


def kept(session: Session, build: Build, settings: Settings) -> Kept:
    names = (KEEP_DAYS[Kind.ARTIFACTS], KEEP_NAMES)
    mine = select(ProjectOption.name, ProjectOption.value).where(
        ProjectOption.project_id == build.project_id, ProjectOption.name.in_(names)
    )
    own = {row[0]: row[1] for row in session.execute(mine)}
    days = days_of(own.get(names[0]), settings.keep_artifacts_days)
    is_kept = build.date_pinned is not None
    return Kept(None if is_kept else build.date_finished, days, keep_names.rules(own.get(KEEP_NAMES, "")))
