"""Builds that ran elsewhere, and are only told to us: any CI may report what it did.

No agent holds their steps: these go straight from queued to in progress, so nothing hands them
out, and they have no heartbeat, so nothing takes them for lost. Whoever told us of them ends
them; where nobody does, the sweep looks at when they were heard of last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Conflict, NotFound
from changes.builds import counting, create, reasons, settle
from changes.builds.models import Build, Job, JobPhase, JobStep, OutsideBuild
from changes.builds.reasons import Reason
from changes.builds.retry import ELSEWHERE
from changes.builds.rules import Cause, Result, Status
from changes.people.models import Author
from changes.projects import revisions
from changes.projects.models import Project, Revision, Source

# Ten years: how long something may run elsewhere is not for us to say.
NO_LIMIT_S = 10 * 365 * 24 * 3600
LABEL_MAX = 128
TARGET_SHA_LENGTH = 12
AT_ONCE = 100
HOMELESS = "A build that ran elsewhere"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What somebody says about a build of his; `jobs` are the names of all its parts."""

    external_id: str
    sha: str
    jobs: Sequence[str]
    branch: str = ""
    label: str = ""
    message: str = ""
    url: str = ""
    author: Author | None = None
    started: datetime | None = None
    tags: Sequence[str] = field(default_factory=list)


def hear(session: Session, project: Project, told: Told) -> Build:
    """The build of that id: made when it is new, else brought up to what is told now."""
    known = find(session, project, told.external_id)
    if known is None:
        # Two parts of one build may be the first to report at the same moment.
        key = func.hashtextextended(f"{told.external_id} outside in {project.id}", 0)
        session.execute(select(func.pg_advisory_xact_lock(key)))
        known = find(session, project, told.external_id)
    if known is None:
        build = make(session, project, told)
    else:
        build = settle.lock_build(session, known.build_id)
        bring_up_to(session, build, told)
        note_heard(session, build.id)
    add_missing_jobs(session, build, told.jobs)
    return build


def find(session: Session, project: Project, external_id: str) -> OutsideBuild | None:
    mine = (OutsideBuild.project_id == project.id, OutsideBuild.external_id == external_id)
    return session.execute(select(OutsideBuild).where(*mine)).scalar_one_or_none()


def make(session: Session, project: Project, told: Told) -> Build:
    revision = revision_of(session, project, told)
    source = revisions.source_of(session, revision)
    now = clock.now()
    # One that is told of afterwards did not wait here.
    created = min(told.started or now, now)
    first_line = (told.message or revision.message).strip().split("\n", 1)[0]
    build = Build(
        id=id_at(created),
        number=create.next_build_number(session, project),
        project_id=project.id,
        collection_id=ids.new(),
        source_id=source.id,
        author_id=told.author.id if told.author else revision.author_id,
        cause=Cause.UNKNOWN,
        label=(told.label or first_line or HOMELESS)[:LABEL_MAX],
        target=revision.sha[:TARGET_SHA_LENGTH],
        message=told.message or revision.message,
        tags=list(told.tags),
        status=Status.QUEUED,
        result=Result.UNKNOWN,
        date_created=created,
    )
    session.add(build)
    session.flush()
    row = insert(OutsideBuild).values(build_id=build.id, project_id=project.id, date_heard=func.now())
    session.execute(row.values(external_id=told.external_id, url=told.url))
    return settle.lock_build(session, build.id)


def id_at(created: datetime) -> UUID:
    """Lists and sums go by the time that is in an id, and one that is told of late belongs to its own."""
    return UUID(int=ids.least_at(created).int | ids.new().int % (1 << ids.RANDOM_BITS))


def revision_of(session: Session, project: Project, told: Told) -> Revision:
    """As far as it was told: nobody need be able to reach a repository that was built elsewhere.

    Its configuration counts as not read yet, so a build of our own looks at the commit itself.
    """
    row = insert(Revision).values(
        repository_id=project.repository_id,
        sha=told.sha,
        message=told.message,
        author_id=told.author.id if told.author else None,
        parents=[],
        branches=[told.branch] if told.branch else [],
        date_created=clock.now(),
    )
    session.execute(row.on_conflict_do_nothing())
    return session.get_one(Revision, (project.repository_id, told.sha))


def bring_up_to(session: Session, build: Build, told: Told) -> None:
    """What is left out now stays as it was told before."""
    sha = session.execute(select(Source.revision_sha).where(Source.id == build.source_id)).scalar_one()
    if sha != told.sha:
        raise Conflict(f"This external_id was reported for the commit {sha} already.", ["external_id", "sha"])
    if told.label:
        build.label = told.label[:LABEL_MAX]
    if told.message:
        build.message = told.message
    if told.url:
        mine = update(OutsideBuild).where(OutsideBuild.build_id == build.id)
        session.execute(mine.values(url=told.url))


def add_missing_jobs(session: Session, build: Build, names: Sequence[str]) -> None:
    known = set(session.execute(select(Job.label).where(Job.build_id == build.id)).scalars())
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if missing and build.is_finished:
        raise Conflict(
            f"This build has ended, and had no job {missing[0]!r}."
            " Name all jobs of a build in its first report.",
            ["jobs"],
        )
    if missing:
        counting.count_anew(build)
    for name in missing:
        build.last_job_number += 1
        add_job(session, build, name)
    session.flush()


def add_job(session: Session, build: Build, name: str) -> None:
    """With one phase and one step. Queued is what nobody hands out."""
    job_id, phase_id = ids.new(), ids.new()
    shared = {"label": name, "status": Status.QUEUED}
    session.add(
        Job(id=job_id, number=build.last_job_number, build_id=build.id, project_id=build.project_id, **shared)
    )
    session.flush()
    session.add(JobPhase(id=phase_id, job_id=job_id, order=0, **shared))
    session.flush()
    step = JobStep(id=ids.new(), job_id=job_id, phase_id=phase_id, project_id=build.project_id, **shared)
    step.timeout_s, step.data = NO_LIMIT_S, {ELSEWHERE: True}
    session.add(step)
    session.flush()


# --- reads -------------------------------------------------------------------------------


def of_build(session: Session, build_id: UUID) -> OutsideBuild | None:
    """None for a build of our own."""
    return session.get(OutsideBuild, build_id)


def build(session: Session, build_id: UUID) -> Build:
    """As it is now, with what it is shown with."""
    return session.get_one(Build, build_id, populate_existing=True)


def step(session: Session, step_id: UUID) -> JobStep:
    return session.get_one(JobStep, step_id)


def steps_by_job(session: Session, build: Build) -> dict[str, JobStep]:
    found = select(Job.label, JobStep).join(JobStep, JobStep.job_id == Job.id)
    rows = session.execute(found.where(Job.build_id == build.id).order_by(Job.number))
    return {row[0]: row[1] for row in rows}


def heard_step(session: Session, step_id: UUID) -> None:
    """Notes that somebody speaks of this step; refuses one that an agent of ours runs, or will."""
    build_id = session.execute(
        select(OutsideBuild.build_id)
        .join(Job, Job.build_id == OutsideBuild.build_id)
        .join(JobStep, JobStep.job_id == Job.id)
        .where(JobStep.id == step_id)
    ).scalar_one_or_none()
    if build_id is None:
        raise NotFound("There is no such step of a build that ran elsewhere.")
    note_heard(session, build_id)


def note_heard(session: Session, build_id: UUID) -> None:
    """To some seconds: a log that is sent line by line must not write this row each time."""
    a_while_ago = func.now() - timedelta(seconds=5)
    mine = (OutsideBuild.build_id == build_id, OutsideBuild.date_heard < a_while_ago)
    session.execute(update(OutsideBuild).where(*mine).values(date_heard=func.now()))


# --- silence -----------------------------------------------------------------------------


def find_silent(session: Session, *, silence_min: int) -> list[UUID]:
    before = func.now() - timedelta(minutes=silence_min)
    silent = select(Build.id).join(OutsideBuild, OutsideBuild.build_id == Build.id)
    unfinished = silent.where(Build.status != Status.FINISHED, OutsideBuild.date_heard < before)
    return list(session.execute(unfinished.order_by(Build.id).limit(AT_ONCE)).scalars())


def give_up_silent(session: Session, build_id: UUID, *, silence_min: int) -> None:
    """Nobody knows how it ended, so it neither passed nor failed."""
    build = settle.lock_build(session, build_id)
    if build.is_finished or build_id not in find_silent(session, silence_min=silence_min):
        return
    mine = select(JobStep.id).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build_id)
    # What was reported and waits to be read is no longer theirs to speak of.
    open_steps = mine.where(JobStep.status.in_((Status.QUEUED, Status.IN_PROGRESS)))
    for step_id in session.execute(open_steps.order_by(JobStep.id)).scalars().all():
        step = settle.lock_step(session, step_id)
        if step is not None and step.status in (Status.QUEUED, Status.IN_PROGRESS):
            why = Reason(reasons.OUTSIDE_SILENT, {"silence_min": silence_min})
            settle.explain(session, build_id, why, step=step)
            settle.finish_step(session, step, Result.INFRA_FAILED)
