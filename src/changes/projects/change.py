"""Changing projects and repositories. What was built already keeps what it was built from."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import bell, jobs
from changes.base.errors import Conflict, Invalid
from changes.projects import create, credentials, tasks
from changes.projects.credentials import Given
from changes.projects.models import Project, Repository, RepositoryCredential
from changes.projects.rules import ProjectStatus, RepositoryBackend, RepositoryStatus


@dataclass(frozen=True)
class ProjectChange:
    """None leaves a thing as it is."""

    name: str | None = None
    slug: str | None = None
    repository: Repository | None = None
    status: ProjectStatus | None = None


@dataclass(frozen=True)
class RepositoryChange:
    """None leaves a thing as it is."""

    url: str | None = None
    backend: RepositoryBackend | None = None
    status: RepositoryStatus | None = None


def change_project(session: Session, project: Project, wanted: ProjectChange) -> None:
    if wanted.name is not None:
        project.name = create.checked_name(wanted.name)
    if wanted.slug is not None and wanted.slug != project.slug:
        create.check_slug(session, wanted.slug)
        project.slug = wanted.slug
    if wanted.repository is not None and wanted.repository.id != project.repository_id:
        project.repository_id = wanted.repository.id
        project.repository = wanted.repository
    if wanted.status is not None:
        project.status = wanted.status
    session.flush()
    bell.tell(session, f"project:{project.id.hex}")


def change_repository(
    session: Session, repository: Repository, wanted: RepositoryChange, *, may_be_local: bool = False
) -> None:
    """Another address is read anew, by a task, into the copy that is there."""
    url = repository.url if wanted.url is None else wanted.url.strip()
    backend = repository.backend if wanted.backend is None else wanted.backend
    has_moved = (url, backend) != (repository.url, repository.backend)
    if has_moved:
        create.check_url(url, backend, may_be_local=may_be_local)
        refuse_taken(session, repository, url)
        refuse_other_kind(repository, backend)
        repository.url, repository.backend = url, backend
        # What lies there now was there before: none of it is news.
        repository.is_imported = False
    was_off = repository.status == RepositoryStatus.INACTIVE
    is_off = was_off if wanted.status is None else wanted.status == RepositoryStatus.INACTIVE
    if is_off:
        repository.status = RepositoryStatus.INACTIVE
    elif has_moved or was_off:
        fetch(session, repository)
    session.flush()


def refuse_taken(session: Session, repository: Repository, url: str) -> None:
    taken = select(Repository.id).where(Repository.url == url, Repository.id != repository.id)
    if session.execute(taken).first() is not None:
        raise Conflict(f"Repository with url {url} already exists.", ["url"])


def refuse_other_kind(repository: Repository, backend: RepositoryBackend) -> None:
    """The copies of it on our machines are of the kind it had."""
    if backend != repository.backend and repository.date_updated is not None:
        raise Invalid(
            "It was read already, and stays of that kind. Make another repository for another kind.",
            ["backend"],
        )


def give_credentials(session: Session, repository: Repository, given: Given) -> RepositoryCredential:
    """It is read with them at once, so whether they are right shows in seconds."""
    kept = credentials.keep(session, repository, given)
    read_if_used(session, repository)
    return kept


def drop_credentials(session: Session, repository: Repository) -> None:
    if credentials.drop(session, repository):
        read_if_used(session, repository)


def read_if_used(session: Session, repository: Repository) -> None:
    if repository.status != RepositoryStatus.INACTIVE:
        fetch(session, repository)


def fetch(session: Session, repository: Repository) -> None:
    """Reads it in the background, now; what it told before is forgotten."""
    if repository.backend == RepositoryBackend.UNKNOWN:
        repository.status = RepositoryStatus.ACTIVE
        return
    repository.status = RepositoryStatus.IMPORTING
    repository.last_error = ""
    session.flush()
    jobs.enqueue(session, tasks.import_repository, repository.id)
