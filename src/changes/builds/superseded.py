"""When somebody asks for a newer build of a branch, jobs of older ones may not matter any more.

A plan says so (`job.cancel-superseded`, or `cancel_superseded: true` in the repository). Only jobs of
the same plan end: other plans of the older build go on. Repetitions supersede nothing.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from changes.builds import cancel, settle
from changes.builds.models import Build, Job, JobPlan
from changes.builds.rules import Cause, Status
from changes.projects.models import Project, Revision, Source


def take_turns(session: Session, project: Project) -> None:
    """Until the end of the transaction, and before a number is taken: of two builds that are asked for at
    once, the later is to see the earlier.
    """
    key = func.hashtextextended(f"superseded in {project.id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def lock_older(session: Session, build: Build, plans: Sequence[UUID]) -> list[UUID]:
    """The jobs of these plans that its jobs take the place of, with their builds locked."""
    if build.cause == Cause.RETRY or not plans:
        return []
    older = older_jobs(session, build, plans)
    for build_id in sorted({row.build_id for row in older}):
        settle.lock_build(session, build_id)
    return [row.id for row in older]


def drop(session: Session, job_ids: Sequence[UUID]) -> int:
    """Returns how many jobs were ended."""
    return sum(cancel.cancel_job(session, job_id) for job_id in job_ids)


def older_jobs(
    session: Session, build: Build, plans: Sequence[UUID]
) -> Sequence[Row[UUID, UUID, str, list[str]]]:
    """In the order in which everybody locks builds."""
    found = (
        select(Job.id, Job.build_id, Build.target, Revision.branches)
        .join(JobPlan, JobPlan.job_id == Job.id)
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .join(
            Revision,
            (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha),
        )
        .where(JobPlan.plan_id.in_(plans), Job.status != Status.FINISHED)
        .where(Build.project_id == build.project_id, Build.number < build.number)
    )
    of_patch = build.source.patch_id is not None
    alike = Source.patch_id.is_not(None) if of_patch else Source.patch_id.is_(None)
    rows = session.execute(found.where(alike).order_by(Build.id, Job.number)).all()
    return [row for row in rows if is_same_line(build, row.target, row.branches)]


def is_same_line(build: Build, target: str, branches: Sequence[str]) -> bool:
    """Patches are versions of one change when they have one target; commits when their first branch,
    the one they were asked for by or the default one, is the same.
    """
    if build.source.patch_id is not None:
        return build.target == target
    mine = build.source.revision.branches
    return bool(mine) and bool(branches) and mine[0] == branches[0]
