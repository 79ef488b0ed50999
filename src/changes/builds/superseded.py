"""When somebody asks for a newer build of a branch, jobs of older ones may not matter any more.

A plan says so (`job.cancel-superseded`, or `cancel_superseded: true` in the repository). Only jobs of
the same plan end: other plans of the older build go on. Repetitions supersede nothing, and neither do builds
that are asked for to learn something of one commit; those are not superseded either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.builds import cancel, settle
from changes.builds.models import Build, Job, JobPlan
from changes.builds.reasons import SUPERSEDED, Reason
from changes.builds.rules import Cause, Status
from changes.projects import commits
from changes.projects.models import Project, Revision, Source

# Tags builds that search what broke a test: each is of a commit of its own, and none makes up for another.
OF_ONE_COMMIT = "origin"


@dataclass(frozen=True)
class Outdated:
    job_id: UUID
    label: str
    # The number of the build that takes its place.
    newer: int


def take_turns(session: Session, project: Project) -> None:
    """Until the end of the transaction, and before a number is taken: of two builds that are asked for at
    once, the later is to see the earlier.
    """
    key = func.hashtextextended(f"superseded in {project.id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def lock_older(session: Session, build: Build, plans: Sequence[UUID]) -> list[Outdated]:
    """The jobs of these plans that its jobs take the place of, with their builds locked."""
    if build.cause == Cause.RETRY or OF_ONE_COMMIT in build.tags or not plans:
        return []
    older = older_jobs(session, build, plans)
    for build_id in sorted({row.build_id for row in older}):
        settle.lock_build(session, build_id)
    return [Outdated(row.id, row.label, build.number) for row in older]


def drop(session: Session, outdated: Sequence[Outdated]) -> int:
    """Returns how many jobs were ended."""
    return sum(
        cancel.cancel_job(
            session, each.job_id, why=Reason(SUPERSEDED, {"number": each.newer, "job": each.label})
        )
        for each in outdated
    )


def older_jobs(session: Session, build: Build, plans: Sequence[UUID]) -> Sequence[Any]:
    """In the order in which everybody locks builds."""
    found = (
        select(Job.id, Job.label, Job.build_id, Build.target, Revision.branches, commits.made().label("made"))
        .join(JobPlan, JobPlan.job_id == Job.id)
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .join(
            Revision,
            (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha),
        )
        .where(JobPlan.plan_id.in_(plans), Job.status != Status.FINISHED)
        .where(Build.project_id == build.project_id, Build.number < build.number)
        # As its jobs do not tell: by an index of those that go on, whatever history the plan has.
        .where(Build.status != Status.FINISHED, ~Build.tags.contains([OF_ONE_COMMIT]))
    )
    of_patch = build.source.patch_id is not None
    alike = Source.patch_id.is_not(None) if of_patch else Source.patch_id.is_(None)
    rows = session.execute(found.where(alike).order_by(Build.id, Job.number)).all()
    return [row for row in rows if is_outdated(build, row)]


def is_outdated(build: Build, older: Any) -> bool:
    """Patches are versions of one change when they have one target; commits when their first branch,
    the one they were asked for by or the default one, is the same. A commit that is built late, as it could
    not be read before or somebody asks for it, makes up for none that is newer.
    """
    if build.source.patch_id is not None:
        return bool(build.target == older.target)
    mine = build.source.revision
    is_same_line = bool(mine.branches) and bool(older.branches) and mine.branches[0] == older.branches[0]
    return is_same_line and older.made <= (mine.date_committed or mine.date_created)
