"""Commits of a repository, as far as anybody asked for them, and where each belongs."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, part
from changes.projects import heads
from changes.projects.models import Project, Repository, Revision
from changes.projects.rules import ProjectStatus

BRANCHES_MAX = 100
# A shorter beginning of a sha fits too many.
SHA_BEGINS_WITH = 4


def commits(
    session: Session, repository: Repository, page: Page, *, branch: str = "", text: str = ""
) -> Part[Revision]:
    """Latest first."""
    found = select(Revision).where(Revision.repository_id == repository.id)
    if branch:
        found = found.where(Revision.branches.contains([branch]))
    if text:
        begins = Revision.sha.startswith(text.lower(), autoescape=True)
        found = found.where(or_(begins, Revision.message.icontains(text, autoescape=True)))
    # In the order of the index: of a repository with a million commits only a page is read.
    return part(session, found.order_by(made().desc(), Revision.sha), page)


def made() -> ColumnElement[object]:
    return func.coalesce(Revision.date_committed, Revision.date_created)


def commit(session: Session, repository: Repository, sha: str) -> Revision:
    found = session.get(Revision, (repository.id, sha))
    if found is None:
        raise NotFound(f"Nobody has asked for a commit {sha} of this repository yet.")
    return found


def branches(session: Session, repository: Repository) -> Sequence[str]:
    """The default one first, then those that moved last; of a repository that nobody reads, those named."""
    found = [branch.name for branch in heads.listed(session, repository, limit=BRANCHES_MAX)]
    if found:
        return found
    each = func.unnest(Revision.branches).label("branch")
    mine = select(each).where(Revision.repository_id == repository.id).distinct()
    return session.execute(mine.order_by(each).limit(BRANCHES_MAX)).scalars().all()


def like(session: Session, sha: str, *, limit: int) -> list[tuple[Revision, Project]]:
    """Commits whose sha begins like this, each with one project of its repository."""
    if len(sha) < SHA_BEGINS_WITH or not set(sha.lower()) <= set("0123456789abcdef"):
        return []
    other = aliased(Project)
    mine = (other.repository_id == Revision.repository_id) & (other.status == ProjectStatus.ACTIVE)
    first = select(other.id).where(mine).order_by(other.name, other.id).limit(1)
    of_repository = Project.id == first.correlate(Revision).scalar_subquery()
    found = select(Revision, Project).join(Project, of_repository)
    begins = found.where(Revision.sha.startswith(sha.lower(), autoescape=True))
    rows = session.execute(begins.order_by(made().desc(), Revision.sha).limit(limit))
    return [(row[0], row[1]) for row in rows]
