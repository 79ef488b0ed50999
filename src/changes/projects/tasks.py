"""Background work on repositories."""

from uuid import UUID

from changes.base import clock, db, jobs
from changes.projects import mirrors
from changes.projects.models import Repository
from changes.projects.rules import RepositoryStatus
from changes.vcs.errors import VcsError


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
    except VcsError as error:
        note(repository_id, str(error))
        raise
    note(repository_id, "")


def note(repository_id: UUID, error: str) -> None:
    with db.transaction() as session:
        repository = session.get_one(Repository, repository_id)
        repository.last_error = error
        if not error:
            repository.status = RepositoryStatus.ACTIVE
            repository.date_updated = clock.now()
