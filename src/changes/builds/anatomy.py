"""One build taken apart for a reader: why it is not green, and its jobs, phases, steps and commands.

Two questions, however large the build is; of very many steps the most telling ones come first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, ScalarSelect, Select, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Session, aliased, joinedload
from sqlalchemy.orm.attributes import set_committed_value

from changes.base.paging import Page
from changes.builds import reasons
from changes.builds.models import (
    Build,
    Command,
    FailureReason,
    Job,
    JobPhase,
    JobPlan,
    JobStep,
    OutsideBuild,
)
from changes.builds.rules import Result, Status
from changes.projects.config import FILE_NAME
from changes.projects.models import Comment, Patch, Project, ProjectOption, Revision, Source
from changes.projects.rules import HIDDEN, TABS_SHOWN_BY, CommentTarget


@dataclass(frozen=True)
class Why:
    """A reason in words. Of a replaced attempt it explains the repetition, not the build."""

    reason: str
    text: str
    job_id: UUID | None
    step_id: UUID | None
    is_replaced: bool


@dataclass(frozen=True)
class Opened:
    """A build, and everything that is told about why it is not green."""

    build: Build
    whys: list[Why]
    # None for a build of our own.
    outside: OutsideBuild | None
    # What stood in the repository's own file before its commit; None = nobody has looked.
    config_of_parent: str | None
    # Of a patch that names that file: itself, unless it is too large for a row.
    patch_of_config: bytes | None
    # Whether anything was said of it or of its jobs; seldom, so those words are asked for only then.
    is_talked_about: bool

    @property
    def current(self) -> list[Why]:
        return [why for why in self.whys if not why.is_replaced and why.reason not in reasons.NOTES]

    @property
    def notes(self) -> list[Why]:
        """Worth knowing also of what is green."""
        return [why for why in self.whys if not why.is_replaced and why.reason in reasons.NOTES]


@dataclass(frozen=True)
class CommandSeen:
    label: str
    status: Status
    return_code: int | None


@dataclass(frozen=True)
class StepSeen:
    step: JobStep
    commands: list[CommandSeen]


@dataclass(frozen=True)
class PhaseSeen:
    phase: JobPhase
    steps: list[StepSeen] = field(default_factory=list)


@dataclass(frozen=True)
class JobSeen:
    job: Job
    # Whom its plan says to ask about it.
    owners: Sequence[str] = ()
    phases: list[PhaseSeen] = field(default_factory=list)

    @property
    def steps(self) -> list[StepSeen]:
        return [step for phase in self.phases for step in phase.steps]


@dataclass(frozen=True)
class Anatomy:
    """`step_count` counts all attempts, also those that are not on this page."""

    jobs: list[JobSeen]
    step_count: int

    @property
    def steps(self) -> list[StepSeen]:
        return [step for job in self.jobs for step in job.steps]


def opened(session: Session, slug: str, reference: int | UUID) -> Opened | None:
    """By the number people say, or by the id that links of the API carry."""
    mine = Build.number == reference if isinstance(reference, int) else Build.id == reference
    of_project = Build.project_id.in_(select(Project.id).where(Project.slug == slug))
    found = select(Build, told_reasons(), OutsideBuild, config_of_parent(), patch_of_config(), talked_about())
    found = found.add_columns(said_to_hide()).where(of_project, mine)
    elsewhere = found.outerjoin(OutsideBuild, OutsideBuild.build_id == Build.id)
    row = session.execute(elsewhere).one_or_none()
    if row is None:
        return None
    know_what_hides(row[0].project, row[6] or [])
    return Opened(row[0], [why(each) for each in row[1] or []], row[2], row[3], row[4], row[5])


def said_to_hide() -> ScalarSelect[Sequence[str]]:
    is_said = (ProjectOption.value == HIDDEN) & ProjectOption.name.in_(TABS_SHOWN_BY)
    found = select(func.array_agg(ProjectOption.name)).where(ProjectOption.project_id == Build.project_id)
    return found.where(is_said).correlate(Build).scalar_subquery()


def know_what_hides(project: Project, names: Sequence[str]) -> None:
    """As if the tabs of the build had asked for it themselves, which each of its pages has."""
    said = [ProjectOption(project_id=project.id, name=name, value=HIDDEN) for name in names]
    set_committed_value(project, "options_that_hide", said)


def talked_about() -> ColumnElement[bool]:
    of_build = (Comment.target == CommentTarget.BUILD) & (Comment.target_id == Build.id)
    jobs = select(Job.id).where(Job.build_id == Build.id).correlate(Build)
    of_job = (Comment.target == CommentTarget.JOB) & Comment.target_id.in_(jobs)
    return or_(*(select(Comment.id).where(said).correlate(Build).exists() for said in (of_build, of_job)))


def patch_of_config() -> ScalarSelect[bytes | None]:
    """Few patches do, and none of the others is to be read for that."""
    name = literal(FILE_NAME.encode(), LargeBinary)
    names_it = func.position(name.op("in")(Patch.diff)) > 0
    found = select(Patch.diff).join(Source, Source.patch_id == Patch.id).where(names_it)
    return found.where(Source.id == Build.source_id).correlate(Build).scalar_subquery()


def config_of_parent() -> ScalarSelect[str | None]:
    parent, own = aliased(Revision), aliased(Revision)
    is_parent = (parent.repository_id == own.repository_id) & (parent.sha == own.parents[1])
    is_own = (Source.repository_id == own.repository_id) & (Source.revision_sha == own.sha)
    found = select(parent.config).join(own, is_parent).join(Source, is_own)
    return found.where(Source.id == Build.source_id).correlate(Build).scalar_subquery()


def told_reasons() -> ScalarSelect[Any]:
    each = func.jsonb_build_object(
        "reason", FailureReason.reason, "data", FailureReason.data, "job_id", FailureReason.job_id,
        "step_id", FailureReason.step_id, "is_replaced", JobStep.replacement_id.is_not(None),
    )  # fmt: skip
    told = select(func.jsonb_agg(aggregate_order_by(each, FailureReason.id), type_=JSONB))
    told = told.select_from(FailureReason).outerjoin(JobStep, JobStep.id == FailureReason.step_id)
    return told.where(FailureReason.build_id == Build.id).correlate(Build).scalar_subquery()


def why(told: dict[str, Any]) -> Why:
    job_id, step_id = (UUID(told[name]) if told[name] else None for name in ("job_id", "step_id"))
    text = reasons.sentence(told["reason"], told["data"])
    return Why(told["reason"], text, job_id, step_id, is_replaced=told["is_replaced"])


# --- what ran ----------------------------------------------------------------------------


def anatomy(session: Session, build: Build, page: Page) -> Anatomy:
    """Jobs and phases always; of the steps those of this page, which are the worst at first."""
    rows = session.execute(tree(build, page)).all()
    jobs: dict[UUID, JobSeen] = {}
    phases: dict[UUID, PhaseSeen] = {}
    for job, phase, step, commands, _, owners in sorted(rows, key=place_of):
        seen = jobs.setdefault(job.id, JobSeen(job, owners or ()))
        if phase is not None and phase.id not in phases:
            phases[phase.id] = PhaseSeen(phase)
            seen.phases.append(phases[phase.id])
        if step is not None:
            phases[phase.id].steps.append(StepSeen(step, [command(each) for each in commands or []]))
    return Anatomy(list(jobs.values()), rows[0][4] or 0 if rows else 0)


def tree(build: Build, page: Page) -> Select[Any]:
    worst = worst_steps(build, page).subquery()
    found = select(Job, JobPhase, JobStep, ran_commands(), counted(build), told_owners())
    found = found.outerjoin(JobPhase, JobPhase.job_id == Job.id)
    on_page = (JobStep.phase_id == JobPhase.id) & JobStep.id.in_(select(worst.c.id))
    return found.outerjoin(JobStep, on_page).where(Job.build_id == build.id).options(joinedload(JobStep.node))


def worst_steps(build: Build, page: Page) -> Select[UUID]:
    of_build = select(JobStep.id).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build.id)
    return of_build.order_by(severity(), JobStep.id).offset(page.offset).limit(page.size)


def severity() -> ColumnElement[int]:
    is_bad = JobStep.result.in_([Result.FAILED, Result.INFRA_FAILED, Result.ABORTED])
    is_alive = JobStep.status != Status.FINISHED
    return case((is_bad & JobStep.replacement_id.is_(None), 0), (is_alive, 1), else_=2)


def counted(build: Build) -> ScalarSelect[int]:
    of_build = select(func.count(JobStep.id)).join(Job, Job.id == JobStep.job_id)
    return of_build.where(Job.build_id == build.id).correlate(None).scalar_subquery()


def ran_commands() -> ScalarSelect[Any]:
    each = func.jsonb_build_object(
        "label", Command.label, "status", Command.status, "return_code", Command.return_code
    )
    told = select(func.jsonb_agg(aggregate_order_by(each, Command.order), type_=JSONB))
    return told.where(Command.step_id == JobStep.id).correlate(JobStep).scalar_subquery()


def told_owners() -> ScalarSelect[list[str] | None]:
    said = select(JobPlan.data["terms"]["owners"]).where(JobPlan.job_id == Job.id)
    return said.correlate(Job).scalar_subquery()


def owners_of(session: Session, job_id: UUID) -> list[str]:
    return list(session.execute(select(told_owners()).where(Job.id == job_id)).scalar_one_or_none() or [])


def command(told: dict[str, Any]) -> CommandSeen:
    return CommandSeen(told["label"], Status(told["status"]), told["return_code"])


def place_of(row: Sequence[Any]) -> tuple[int, int, int]:
    """As the work went: jobs by number, phases by order, attempts by age."""
    job, phase, step = row[:3]
    return job.number, phase.order if phase else 0, step.id.int if step else 0
