"""What a version of a change does: the patch that was handed in, or what its commit brought."""

from sqlalchemy.orm import Session

from changes.base.errors import Unavailable
from changes.projects import diffs, mirrors, patches
from changes.projects.diffs import FileDiff
from changes.projects.models import Repository, Source
from changes.projects.rules import RepositoryBackend
from changes.vcs.errors import TooLarge, VcsError


def diff_of(session: Session, source: Source) -> list[FileDiff]:
    return diffs.parse(diffs.text_of(bytes_of(session, source)))


def bytes_of(session: Session, source: Source) -> bytes:
    if source.patch is not None:
        return patches.content(session, source.patch)
    return of_commit(source.repository, source.revision_sha)


def of_commit(repository: Repository, sha: str) -> bytes:
    """Without version control nobody knows what a commit brought."""
    if repository.backend == RepositoryBackend.UNKNOWN:
        return b""
    mirror = mirrors.of(repository)
    try:
        if not (mirror.exists() and mirror.has(sha)):
            mirror.fetch(sha)
        return mirror.diff(sha)
    except TooLarge as error:
        raise Unavailable("This commit changes more than can be shown.") from error
    except VcsError as error:
        raise Unavailable(f"The repository cannot be read now. {error}") from error
