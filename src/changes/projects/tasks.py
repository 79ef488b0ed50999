"""Background work on repositories."""

import random
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import clock, db, jobs
from changes.base.process import settings
from changes.projects import landing, looks, mirrors, polling, reach, revisions, sync, sync_rules, telling
from changes.projects.events import RevisionsSeen
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend, RepositoryStatus
from changes.vcs.errors import Damaged, UnknownRevision, VcsError

HEAD = "HEAD"


@jobs.task
def import_repository(repository_id: UUID) -> None:
    """Reads one that is new, or was changed; one that cannot be read says why and is tried again later."""
    repository = begin(repository_id, {RepositoryStatus.IMPORTING})
    if repository is not None:
        error = visit(repository)
        if error is not None:
            raise error


@jobs.task
def sync_repository(repository_id: UUID) -> None:
    """Looks whether there is anything new. The next look is this one's next try."""
    repository = begin(repository_id, {RepositoryStatus.ACTIVE})
    if repository is not None:
        visit(repository)


def poll_repositories() -> None:
    """Those whose time has come."""
    with db.transaction() as session:
        for repository in polling.due(session):
            # Not once more before this look had its time.
            repository.date_next_sync = clock.now() + timedelta(seconds=sync_rules.FAILED_PAUSE_MAX_S)
            ask_for_sync(session, repository)


def begin(repository_id: UUID, expected: set[RepositoryStatus]) -> Repository | None:
    with db.transaction() as session:
        repository = session.get(Repository, repository_id)
        if repository is None or repository.status not in expected:
            return None
        if repository.backend == RepositoryBackend.UNKNOWN:
            return None
        repository.date_update_attempted = clock.now()
        return repository


def visit(repository: Repository) -> VcsError | None:
    """What is wrong is noted in words."""
    try:
        has_news = look_and_mend(repository)
        if has_news or repository.status == RepositoryStatus.IMPORTING:
            remember_head(repository)
    except VcsError as error:
        note(repository, reach.in_words(error, repository.backend))
        return error
    note(repository, "")
    return None


def look_and_mend(repository: Repository) -> bool:
    try:
        return sync.look(repository)
    except Damaged:
        mirrors.of(repository).remove()
        return sync.look(repository)


def remember_head(repository: Repository) -> None:
    """So that pages know the plans in it before anything was built. One without commits has none."""
    mirror = mirrors.of(repository)
    try:
        sha = mirror.resolve(HEAD)
    except UnknownRevision:
        return
    seen, config = looks.look_at(mirror, sha, HEAD), looks.read_config(mirror, sha)
    with db.transaction() as session:
        revisions.save(session, repository, seen, config)


def note(read: Repository, error: str) -> None:
    """Unless it got another address meanwhile: then this says nothing about it."""
    with db.transaction() as session:
        repository = session.get(Repository, read.id, with_for_update=True, populate_existing=True)
        if repository is None or repository.url != read.url:
            return
        has_news = repository.last_error != error or repository.status == RepositoryStatus.IMPORTING
        repository.last_error = error
        if error:
            repository.sync_failures += 1
        else:
            repository.sync_failures, repository.date_updated = 0, clock.now()
        if not error and repository.status == RepositoryStatus.IMPORTING:
            repository.status = RepositoryStatus.ACTIVE
        plan_next(repository)
        # An open page that shows a failure also shows when it is tried again.
        if has_news or error:
            telling.tell(session, repository)


def plan_next(repository: Repository) -> None:
    chance = random.random()  # noqa: S311 -- it only spreads the load
    if repository.last_error:
        pause_s = sync_rules.pause_after_failure_s(repository.sync_failures, chance)
    else:
        quiet_for = clock.now() - repository.date_changed if repository.date_changed else None
        pause_s = sync_rules.pause_after_success_s(settings.get().repository_poll_s, quiet_for, chance)
    repository.date_next_sync = clock.now() + timedelta(seconds=pause_s)


def link_landed(event: RevisionsSeen) -> None:
    landing.link(event)


def ask_for_sync(session: Session, repository: Repository) -> None:
    """At once, whenever it was to be looked at."""
    if repository.status == RepositoryStatus.IMPORTING:
        jobs.enqueue(session, import_repository, repository.id)
    elif repository.status == RepositoryStatus.ACTIVE:
        jobs.enqueue(session, sync_repository, repository.id)
