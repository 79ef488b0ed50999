"""Reads of builds and what is below them. Every list is bounded; nothing asks per row."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, joinedload, lazyload

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, newest_first
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobPlan, JobStep, Node
from changes.builds.reasons import NOTES
from changes.builds.rules import HELD, Cause, Result, Status
from changes.people.models import Author
from changes.projects.models import Project, Revision, Source

TARGET_SHA_LENGTH = 12
NUMBER_DIGITS_MAX = 9
# "web #12", "web 12": the way people call a build.
CALLED = re.compile(r"(?P<slug>[\w.-]+?)(?:\s+#?|#)(?P<number>[0-9]{1,9})")


@dataclass(frozen=True)
class BuildFilter:
    project: Project | None = None
    # All that one person writes as.
    authors: Sequence[Author] | None = None
    result: Result | None = None
    cause: Cause | None = None
    tags: Sequence[str] = ()
    text: str = ""
    target: str = ""
    # A part of the name or e-mail address of the author, and a whole branch name.
    people: str = ""
    branch: str = ""
    # A whole one.
    sha: str = ""
    source: Source | None = None
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
    return filtered_by_patch(found.where(*itself(wanted), *what_it_builds(wanted)), wanted)


def itself(wanted: BuildFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.project is not None:
        yield Build.project_id == wanted.project.id
    if wanted.result is not None:
        yield Build.result == wanted.result
    if wanted.cause is not None:
        yield Build.cause == wanted.cause
    if wanted.tags:
        yield Build.tags.overlap(list(wanted.tags))
    if wanted.text:
        yield or_(*named(wanted.text))


def what_it_builds(wanted: BuildFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.authors is not None:
        yield Build.author_id.in_([author.id for author in wanted.authors])
    if wanted.people:
        yield Build.author_id.in_(authors_called(wanted.people))
    if wanted.target:
        yield Build.target.startswith(wanted.target, autoescape=True)
    if wanted.source is not None:
        yield Build.source_id == wanted.source.id
    if wanted.sha:
        yield Build.source.has(revision_sha=wanted.sha)
    if wanted.branch:
        yield Build.source.has(Source.revision.has(Revision.branches.contains([wanted.branch])))


def named(text: str) -> list[ColumnElement[bool]]:
    """By a part of the title, the beginning of the commit, #number, or project and number."""
    by_name = [
        Build.label.icontains(text, autoescape=True),
        Build.target.startswith(text[:TARGET_SHA_LENGTH], autoescape=True),
    ]
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) <= NUMBER_DIGITS_MAX:
        by_name.append(Build.number == int(number))
    called = CALLED.fullmatch(text)
    if called:
        projects = select(Project.id).where(Project.slug.icontains(called["slug"], autoescape=True))
        by_name.append(Build.project_id.in_(projects) & (Build.number == int(called["number"])))
    return by_name


def authors_called(text: str) -> Select[UUID]:
    in_name = Author.name.icontains(text, autoescape=True)
    return select(Author.id).where(in_name | Author.email.icontains(text, autoescape=True))


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


def ids_of_jobs(build_ids: Collection[UUID]) -> Select[UUID]:
    return select(Job.id).where(Job.build_id.in_(build_ids))


def jobs(session: Session, job_ids: Collection[UUID]) -> dict[UUID, Job]:
    return {job.id: job for job in session.execute(select(Job).where(Job.id.in_(job_ids))).scalars()}


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
        .where(FailureReason.build_id.in_(build_ids), current, FailureReason.reason.not_in(NOTES))
        .order_by(FailureReason.id)
    )
    for reason in session.execute(found).scalars():
        reasons[reason.build_id].append(reason)
    return reasons


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


def newest_of_authors(session: Session, author_ids: Collection[UUID]) -> dict[UUID, Build]:
    """The last build of each, with its project."""
    newest = select(Build.id).where(Build.author_id == Author.id).order_by(Build.id.desc()).limit(1)
    mine = newest.correlate(Author).lateral("mine")
    found = select(Build).select_from(Author).join(mine, true()).join(Build, Build.id == mine.c.id)
    bare = lazyload(Build.source), lazyload(Build.author)
    of_these = found.where(Author.id.in_(author_ids)).options(joinedload(Build.project), *bare)
    return {build.author_id: build for build in session.execute(of_these).scalars() if build.author_id}


def of_commits(
    session: Session, project: Project, shas: Collection[str], *, limit: int
) -> dict[str, list[Build]]:
    """The builds of these commits, newest first, with and without a patch on top."""
    found = select(Source.revision_sha, Build).join(Source, Source.id == Build.source_id)
    mine = found.where(Build.project_id == project.id, Source.repository_id == project.repository_id)
    of_these = mine.where(Source.revision_sha.in_(shas), Source.patch_id.is_(None))
    by_sha: dict[str, list[Build]] = {sha: [] for sha in shas}
    for sha, build in session.execute(of_these.order_by(Build.id.desc()).limit(limit).options(*BARE)):
        by_sha[sha].append(build)
    return by_sha


def of_revisions(
    session: Session, revisions: Collection[tuple[UUID, str]], *, limit: int
) -> dict[tuple[UUID, str], list[Build]]:
    """The builds of these commits by any project, newest first, without a patch on top."""
    found = select(Source.repository_id, Source.revision_sha, Build).join(
        Source, Source.id == Build.source_id
    )
    these = tuple_(Source.repository_id, Source.revision_sha).in_(revisions)
    mine = found.where(these, Source.patch_id.is_(None)).order_by(Build.id.desc()).limit(limit)
    by_revision: dict[tuple[UUID, str], list[Build]] = {each: [] for each in revisions}
    for repository_id, sha, build in session.execute(mine):
        by_revision[repository_id, sha].append(build)
    return by_revision


def tags_of(session: Session, project: Project, *, among: int) -> Sequence[str]:
    """Which tags the newest builds of a project have, to choose from."""
    newest = select(Build.tags).where(Build.project_id == project.id).order_by(Build.id.desc()).limit(among)
    each = func.unnest(newest.subquery().c.tags).label("tag")
    return session.execute(select(each).distinct().order_by(each)).scalars().all()


def steps_of_node(session: Session, node: Node, page: Page) -> Part[JobStep]:
    """What a machine worked on, newest first, with the builds it was for."""
    with_build = joinedload(JobStep.job).joinedload(Job.build)
    mine = select(JobStep).where(JobStep.node_id == node.id)
    lean = mine.options(with_build.lazyload(Build.source), with_build.lazyload(Build.author))
    return newest_first(session, lean, JobStep.id, page)


def held_by_node(session: Session, node: Node, *, limit: int) -> Sequence[JobStep]:
    with_build = joinedload(JobStep.job).joinedload(Job.build)
    mine = select(JobStep).where(JobStep.node_id == node.id, JobStep.status.in_(HELD))
    lean = mine.options(with_build.lazyload(Build.source), with_build.lazyload(Build.author))
    return session.execute(lean.order_by(JobStep.id).limit(limit)).scalars().all()


def jobs_of_plan(session: Session, plan_id: UUID, *, limit: int) -> Sequence[tuple[Job, JobPlan]]:
    """The newest jobs that ran this plan, each with the plan as it was then."""
    found = select(Job, JobPlan).join(JobPlan, JobPlan.job_id == Job.id).where(JobPlan.plan_id == plan_id)
    with_build = joinedload(Job.build)
    lean = found.options(
        with_build.lazyload(Build.source), with_build.lazyload(Build.author), lazyload(JobPlan.plan)
    )
    rows = session.execute(lean.order_by(JobPlan.id.desc()).limit(limit))
    return [(row[0], row[1]) for row in rows]


def newest_finished(session: Session, project: Project, *, limit: int) -> Sequence[Build]:
    """What a chart of durations shows, newest first."""
    mine = select(Build).where(Build.project_id == project.id, Build.status == Status.FINISHED)
    return session.execute(mine.order_by(Build.id.desc()).limit(limit).options(*BARE)).scalars().all()


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
