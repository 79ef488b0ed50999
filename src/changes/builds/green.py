"""The newest green commit of each branch, newest by the history: what ends late does not turn it back."""

from collections.abc import Collection, Sequence
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from changes.base import bell, clock, db, events, ids
from changes.base.paging import Page, Part, part
from changes.builds.events import LatestGreenMoved, RevisionResultUpdated
from changes.builds.green_models import LatestGreenBuild
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects import mirrors
from changes.projects.models import Project, Repository, Revision
from changes.projects.rules import RepositoryBackend
from changes.vcs.errors import VcsError
from changes.vcs.interface import Mirror

BRANCHES_MAX = 100

log = structlog.get_logger()


def note(event: RevisionResultUpdated) -> None:
    """One that is green moves the mark of each branch it is on, where it builds on what was green there."""
    if event.result != Result.PASSED:
        return
    with db.transaction() as session:
        project = session.get_one(Project, event.project_id)
        revision = session.get(Revision, (project.repository_id, event.sha))
        known = list(revision.branches) if revision is not None else []
        marks = marked(session, project.id)
    mirror = mirror_with(project.repository, event.sha)
    for branch in branches_of(mirror, event.sha, known):
        if moves(mirror, branch, marks.get(branch), event.sha):
            with db.transaction() as session:
                move(session, project, branch, event, was=marks.get(branch))


def marked(session: Session, project_id: UUID) -> dict[str, str]:
    mine = select(LatestGreenBuild.branch, LatestGreenBuild.sha)
    rows = session.execute(mine.where(LatestGreenBuild.project_id == project_id))
    return {row[0]: row[1] for row in rows}


def mirror_with(repository: Repository, sha: str) -> Mirror | None:
    """The copy that holds this commit; None where nobody can say anything about the history."""
    if repository.backend == RepositoryBackend.UNKNOWN:
        return None
    mirror = mirrors.of(repository)
    try:
        if not (mirror.exists() and mirror.has(sha)):
            mirror.update()
        return mirror if mirror.has(sha) else None
    except VcsError as error:
        log.info("the history cannot be read now", repository=repository.url, error=str(error))
        return None


def branches_of(mirror: Mirror | None, sha: str, known: Sequence[str]) -> list[str]:
    """All that hold it now; without a copy, those it is known to be on."""
    if mirror is None:
        return list(known)[:BRANCHES_MAX]
    return [*dict.fromkeys([*known, *mirror.branches_of(sha)])][:BRANCHES_MAX]


def moves(mirror: Mirror | None, branch: str, was: str | None, now: str) -> bool:
    """Without a mark, or one that was rewritten out of the branch, there is nothing to compare with."""
    if was is None or mirror is None:
        return True
    if not mirror.has(was) or mirror.is_ancestor(was, now):
        return True
    return branch not in mirror.branches_of(was)


def move(
    session: Session, project: Project, branch: str, event: RevisionResultUpdated, *, was: str | None
) -> None:
    """Unless somebody has moved it meanwhile: then it is decided anew, against that one."""
    row = insert(LatestGreenBuild).values(
        id=ids.new(),
        date_created=clock.now(),
        project_id=project.id,
        branch=branch,
        build_id=event.build_id,
        sha=event.sha,
    )
    latest = {name: getattr(row.excluded, name) for name in ("build_id", "sha", "date_created")}
    upsert = row.on_conflict_do_update(
        index_elements=["project_id", "branch"], set_=latest, where=LatestGreenBuild.sha == was
    )
    if session.execute(upsert.returning(LatestGreenBuild.id)).first() is None:
        raise MovedMeanwhile(branch)
    events.announce(session, LatestGreenMoved(project.id, branch, event.sha, event.build_id))
    bell.tell(session, f"project:{project.id.hex}")


class MovedMeanwhile(Exception):
    """Two commits of a branch became green at once; the task that hears this is run again."""


def newest(session: Session, project: Project) -> LatestGreenBuild | None:
    """Of the default branch; without one, of the branch that was green last."""
    mine = select(LatestGreenBuild).where(LatestGreenBuild.project_id == project.id)
    first = (LatestGreenBuild.branch == project.repository.default_branch).desc()
    marks = mine.order_by(first, LatestGreenBuild.date_created.desc()).limit(1)
    return session.execute(marks).scalar_one_or_none()


def among(session: Session, project: Project, shas: Collection[str]) -> dict[str, str]:
    """Which of these commits are the newest green ones, and of which branches."""
    mine = select(LatestGreenBuild.sha, LatestGreenBuild.branch).where(
        LatestGreenBuild.project_id == project.id, LatestGreenBuild.sha.in_(shas)
    )
    found: dict[str, list[str]] = {}
    for row in session.execute(mine.order_by(LatestGreenBuild.branch)):
        found.setdefault(row[0], []).append(row[1])
    return {sha: ", ".join(branches[:3]) for sha, branches in found.items()}


def latest(session: Session, project: Project, page: Page, *, branch: str = "") -> Part[LatestGreenBuild]:
    """The default branch first, then by name."""
    mine = select(LatestGreenBuild).where(LatestGreenBuild.project_id == project.id)
    if branch:
        mine = mine.where(LatestGreenBuild.branch == branch)
    first = (LatestGreenBuild.branch == project.repository.default_branch).desc()
    with_build = joinedload(LatestGreenBuild.build).joinedload(Build.source)
    return part(session, mine.order_by(first, LatestGreenBuild.branch).options(with_build), page)
