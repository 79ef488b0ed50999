"""The builds of changes and of their versions. Every list is bounded; nothing asks per row."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from changes.base.paging import Page, Part, newest_first
from changes.builds.models import Build, Job, JobStep
from changes.builds.queries import BARE
from changes.projects.models import Change, Project, Source

BUILDS_MAX = 500


def builds(session: Session, change: Change, page: Page) -> Part[Build]:
    """Of all its versions, newest first."""
    mine = select(Build).where(Build.source.has(change_id=change.id))
    return newest_first(session, mine, Build.id, page)


def last_builds(session: Session, change_ids: Collection[UUID]) -> dict[UUID, Build]:
    newest = (
        select(Source.change_id, Build)
        .ext(distinct_on(Source.change_id))
        .join(Source, Source.id == Build.source_id)
        .where(Source.change_id.in_(change_ids))
        .order_by(Source.change_id, Build.id.desc())
        .options(*BARE)
    )
    return {row[0]: row[1] for row in session.execute(newest) if row[0] is not None}


def of_sources(session: Session, source_ids: Collection[UUID]) -> dict[UUID, list[tuple[Build, Project]]]:
    """Newest first, each with its project."""
    found = select(Build, Project).join(Project, Project.id == Build.project_id)
    mine = found.where(Build.source_id.in_(source_ids)).order_by(Build.id.desc()).limit(BUILDS_MAX)
    by_source: dict[UUID, list[tuple[Build, Project]]] = {source_id: [] for source_id in source_ids}
    for build, project in session.execute(mine.options(*BARE)).unique():
        by_source[build.source_id].append((build, project))
    return by_source


def repeated_attempts(session: Session, build_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many steps of each build had to be tried again."""
    found = select(Job.build_id, func.count()).join(JobStep, JobStep.job_id == Job.id)
    again = found.where(Job.build_id.in_(build_ids), JobStep.attempt > 1).group_by(Job.build_id)
    return {row[0]: row[1] for row in session.execute(again)}
