"""Reads of builds and what is below them. Every list is bounded; nothing asks per row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, func, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, joinedload, lazyload

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, newest_first, part
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobStep, Node
from changes.builds.rules import HELD, Cause, Result, Status
from changes.people.models import Author
from changes.projects.models import Project, Source


@dataclass(frozen=True)
class BuildFilter:
    project: Project | None = None
    author: Author | None = None
    result: Result | None = None
    cause: Cause | None = None
    tags: Sequence[str] = ()
    text: str = ""
    target: str = ""
    include_patches: bool = True
    patches_only: bool = False


EVERYTHING = BuildFilter()


def build(session: Session, build_id: UUID) -> Build:
    found = session.get(Build, build_id)
    if found is None:
        raise NotFound("There is no such build.")
    return found


def build_by_number(session: Session, project: Project, number: int) -> Build:
    mine = select(Build).where(Build.project_id == project.id, Build.number == number)
    found = session.execute(mine).unique().scalar_one_or_none()
    if found is None:
        raise NotFound(f"The project {project.slug} has no build {number}.")
    return found


def builds(session: Session, page: Page, wanted: BuildFilter = EVERYTHING) -> Part[Build]:
    """Newest first; ids are made in time order."""
    return newest_first(session, filtered(select(Build), wanted), Build.id, page)


def filtered(found: Select[Build], wanted: BuildFilter) -> Select[Build]:
    if wanted.project is not None:
        found = found.where(Build.project_id == wanted.project.id)
    if wanted.author is not None:
        found = found.where(Build.author_id == wanted.author.id)
    if wanted.result is not None:
        found = found.where(Build.result == wanted.result)
    if wanted.cause is not None:
        found = found.where(Build.cause == wanted.cause)
    if wanted.tags:
        found = found.where(Build.tags.overlap(list(wanted.tags)))
    if wanted.target:
        found = found.where(Build.target.startswith(wanted.target, autoescape=True))
    if wanted.text:
        in_label = Build.label.icontains(wanted.text, autoescape=True)
        found = found.where(in_label | Build.target.startswith(wanted.text[:12], autoescape=True))
    return filtered_by_patch(found, wanted)


def filtered_by_patch(found: Select[Build], wanted: BuildFilter) -> Select[Build]:
    if wanted.patches_only:
        return found.where(Build.source.has(Source.patch_id.is_not(None)))
    if not wanted.include_patches:
        return found.where(Build.source.has(patch_id=None))
    return found


def jobs_of(session: Session, build_ids: Collection[UUID]) -> dict[UUID, list[Job]]:
    jobs: dict[UUID, list[Job]] = {build_id: [] for build_id in build_ids}
    found = select(Job).where(Job.build_id.in_(build_ids)).order_by(Job.build_id, Job.number)
    for job in session.execute(found).scalars():
        jobs[job.build_id].append(job)
    return jobs


def job(session: Session, job_id: UUID) -> Job:
    found = session.get(Job, job_id, options=[joinedload(Job.build)])
    if found is None:
        raise NotFound("There is no such job.")
    return found


def phases_of(session: Session, job: Job) -> Sequence[JobPhase]:
    return (
        session.execute(select(JobPhase).where(JobPhase.job_id == job.id).order_by(JobPhase.order))
        .scalars()
        .all()
    )


def steps_of(session: Session, job_ids: Collection[UUID]) -> Sequence[JobStep]:
    """All attempts, replaced ones too, oldest first."""
    found = (
        select(JobStep)
        .where(JobStep.job_id.in_(job_ids))
        .options(joinedload(JobStep.node))
        .order_by(JobStep.id)
    )
    return session.execute(found).scalars().all()


def step(session: Session, step_id: UUID) -> JobStep:
    found = session.get(JobStep, step_id, options=[joinedload(JobStep.node), joinedload(JobStep.job)])
    if found is None:
        raise NotFound("There is no such job step.")
    return found


def commands_of(session: Session, step_ids: Collection[UUID]) -> Sequence[Command]:
    found = select(Command).where(Command.step_id.in_(step_ids)).order_by(Command.step_id, Command.order)
    return session.execute(found).scalars().all()


def command(session: Session, command_id: UUID) -> Command:
    found = session.get(Command, command_id)
    if found is None:
        raise NotFound("There is no such command.")
    return found


def failures_of(session: Session, build_ids: Collection[UUID]) -> dict[UUID, list[FailureReason]]:
    """Why these builds are not green; what a replaced attempt suffered from is not counted."""
    reasons: dict[UUID, list[FailureReason]] = {build_id: [] for build_id in build_ids}
    current = FailureReason.step_id.is_(None) | JobStep.replacement_id.is_(None)
    found = (
        select(FailureReason)
        .outerjoin(JobStep, JobStep.id == FailureReason.step_id)
        .where(FailureReason.build_id.in_(build_ids), current)
        .order_by(FailureReason.id)
    )
    for reason in session.execute(found).scalars():
        reasons[reason.build_id].append(reason)
    return reasons


def nodes(session: Session, page: Page) -> Part[Node]:
    return part(session, select(Node).order_by(Node.label), page)


def node(session: Session, node_id: UUID) -> Node:
    found = session.get(Node, node_id)
    if found is None:
        raise NotFound("There is no such node.")
    return found


def last_builds(session: Session, project_ids: Collection[UUID], *, passed: bool) -> dict[UUID, Build]:
    """The newest finished commit build of each project, or the newest that passed."""
    results = [Result.PASSED] if passed else [Result.PASSED, Result.FAILED, Result.INFRA_FAILED]
    newest = (
        select(Build)
        .ext(distinct_on(Build.project_id))
        .where(Build.project_id.in_(project_ids), Build.source.has(patch_id=None))
        # A build that goes on may be failing already.
        .where(Build.status == Status.FINISHED, Build.result.in_(results))
        .order_by(Build.project_id, Build.id.desc())
    )
    return {build.project_id: build for build in session.execute(newest).unique().scalars()}


# Bare rows for strips and charts: nobody asks them for their source or author.
BARE = (lazyload(Build.project), lazyload(Build.source), lazyload(Build.author))


def newest_of_projects(
    session: Session, project_ids: Collection[UUID], *, each: int
) -> dict[UUID, list[Build]]:
    """The last few builds of every project, newest first, by one question."""
    mine = (
        select(Build.id)
        .where(Build.project_id == Project.id)
        .order_by(Build.id.desc())
        .limit(each)
        .correlate(Project)
        .lateral("mine")
    )
    found = (
        select(Build)
        .select_from(Project)
        .join(mine, true())
        .join(Build, Build.id == mine.c.id)
        .where(Project.id.in_(project_ids))
        .order_by(Build.id.desc())
        .options(*BARE)
    )
    newest: dict[UUID, list[Build]] = {project_id: [] for project_id in project_ids}
    for build in session.execute(found).scalars():
        newest[build.project_id].append(build)
    return newest


def newest_finished(session: Session, project: Project, *, limit: int) -> Sequence[Build]:
    """What a chart of durations shows, newest first."""
    mine = select(Build).where(Build.project_id == project.id, Build.status == Status.FINISHED)
    return session.execute(mine.order_by(Build.id.desc()).limit(limit).options(*BARE)).scalars().all()


def phases_of_jobs(session: Session, job_ids: Collection[UUID]) -> Sequence[JobPhase]:
    mine = select(JobPhase).where(JobPhase.job_id.in_(job_ids))
    return session.execute(mine.order_by(JobPhase.job_id, JobPhase.order)).scalars().all()


def steps_of_build(session: Session, build_id: UUID, *, limit: int) -> Sequence[JobStep]:
    """All attempts, replaced ones too, oldest first."""
    mine = select(JobStep).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build_id)
    found = mine.options(joinedload(JobStep.node)).order_by(JobStep.id).limit(limit)
    return session.execute(found).scalars().all()


def failures_of_step(session: Session, step: JobStep) -> Sequence[FailureReason]:
    """Of a replaced attempt too: it says why there is another one."""
    mine = select(FailureReason).where(FailureReason.step_id == step.id)
    return session.execute(mine.order_by(FailureReason.id)).scalars().all()


def held_by_nodes(session: Session, node_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many steps each of these machines works on now; one that works on nothing is left out."""
    busy = (
        select(JobStep.node_id, func.count())
        .where(JobStep.node_id.in_(node_ids), JobStep.status.in_(HELD))
        .group_by(JobStep.node_id)
    )
    return {row[0]: row[1] for row in session.execute(busy) if row[0] is not None}
