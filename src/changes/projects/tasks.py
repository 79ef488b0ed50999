"""Background work on repositories."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import bell, clock, db, jobs
from changes.projects import mirrors, reach, revisions
from changes.projects.models import Project, Repository
from changes.projects.rules import RepositoryStatus
from changes.vcs.errors import UnknownRevision, VcsError

HEAD = "HEAD"


@jobs.task
def import_repository(repository_id: UUID) -> None:
    """Fills the mirror; a repository that cannot be read says why and is tried again later."""
    with db.transaction() as session:
        repository = session.get(Repository, repository_id)
        if repository is None or repository.status != RepositoryStatus.IMPORTING:
            return
        repository.date_update_attempted = clock.now()
    try:
        mirrors.of(repository).update()
        remember_head(repository)
    except VcsError as error:
        note(repository, reach.in_words(error, repository.backend))
        raise
    note(repository, "")


def remember_head(repository: Repository) -> None:
    """So that pages know the plans in it before anything was built. One without commits has none."""
    mirror = mirrors.of(repository)
    try:
        sha = mirror.resolve(HEAD)
    except UnknownRevision:
        return
    seen, config = revisions.look_at(mirror, sha, HEAD), revisions.read_config(mirror, sha)
    with db.transaction() as session:
        revisions.save(session, repository, seen, config)


def note(read: Repository, error: str) -> None:
    """Unless it got another address meanwhile: then this says nothing about it."""
    with db.transaction() as session:
        repository = session.get(Repository, read.id, with_for_update=True)
        if repository is None or repository.url != read.url:
            return
        repository.last_error = error
        if not error:
            repository.date_updated = clock.now()
        if not error and repository.status == RepositoryStatus.IMPORTING:
            repository.status = RepositoryStatus.ACTIVE
        tell(session, repository)


def tell(session: Session, repository: Repository) -> None:
    """To the open pages of all its projects."""
    mine = select(Project.id).where(Project.repository_id == repository.id)
    topics = [f"project:{project_id.hex}" for project_id in session.execute(mine).scalars()]
    if topics:
        bell.tell(session, *topics)
