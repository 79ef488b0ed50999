"""What was built: which files it has, which lines it brings. Repositories are asked without a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from changes.builds.models import Build
from changes.projects import diffs, mirrors, patches
from changes.projects.diffs import FileDiff
from changes.projects.models import Source
from changes.projects.rules import RepositoryBackend
from changes.results.coverage.paths import Tree
from changes.results.formats.line_marks import bits_of
from changes.vcs.errors import TooLarge, VcsError
from changes.vcs.interface import Mirror

FETCH_MAX_S = 30.0
# More lines than anybody looks through; a repository that was taken over as a whole.
LINES_MAX = 500_000
NOT_READABLE = "Its repository cannot be read, so nobody knows which lines it changes."
NO_VCS = "Its repository has no version control, so nobody knows which lines it changes."
TOO_MUCH = f"It changes more than {LINES_MAX:,} lines."

log = structlog.get_logger()


@dataclass(frozen=True)
class SourceSeen:
    """Of one build. Without a mirror nothing can be asked."""

    sha: str
    mirror: Mirror | None
    # What it puts on top of the commit.
    patch: bytes | None
    # Whether its server is asked for a commit that we do not have; one that did not answer lately is not.
    may_fetch: bool = True

    @property
    def is_of_commit(self) -> bool:
        return self.patch is None


@dataclass(frozen=True)
class Added:
    """Lines that it brings, by file; where that is not known, why not."""

    files: Sequence[FileDiff] = ()
    problem: str = ""

    @cached_property
    def lines(self) -> Mapping[str, int]:
        """As bits; files of which it only takes lines away have none."""
        added = diffs.added_lines(list(self.files))
        return {path: bits_of(numbers) for path, numbers in added.items() if numbers}


def of_build(session: Session, build_id: UUID) -> SourceSeen:
    return of_source(session, session.get_one(Build, build_id).source)


def of_source(session: Session, source: Source) -> SourceSeen:
    repository = source.repository
    has_vcs = repository.backend != RepositoryBackend.UNKNOWN
    return SourceSeen(
        sha=source.revision_sha,
        mirror=mirrors.of(repository, session) if has_vcs else None,
        patch=patches.content(session, source.patch) if source.patch is not None else None,
        may_fetch=not repository.last_error,
    )


def added(seen: SourceSeen) -> Added:
    if seen.patch is None and seen.mirror is None:
        return Added(problem=NO_VCS)
    try:
        diff = seen.patch if seen.patch is not None else of_commit(seen)
    except TooLarge:
        return Added(problem=TOO_MUCH)
    except VcsError as error:
        log.info("no lines of a change", sha=seen.sha, error=str(error))
        return Added(problem=NOT_READABLE)
    files = diffs.parse(diffs.text_of(diff))
    if sum(len(file.lines) for file in files) > LINES_MAX:
        return Added(problem=TOO_MUCH)
    return Added(files)


def of_commit(seen: SourceSeen) -> bytes:
    return brought(seen).diff(seen.sha)


def brought(seen: SourceSeen) -> Mirror:
    if seen.mirror is None:
        raise VcsError("there is no version control")
    if seen.may_fetch and not (seen.mirror.exists() and seen.mirror.has(seen.sha)):
        seen.mirror.fetch(seen.sha, FETCH_MAX_S)
    return seen.mirror


def tree(seen: SourceSeen) -> Tree | None:
    """Of the commit, and what the patch makes besides; None where nobody can tell."""
    if seen.mirror is None:
        return None
    try:
        names = set(brought(seen).files(seen.sha))
    except VcsError as error:
        log.info("no files of a commit", sha=seen.sha, error=str(error))
        return None
    if seen.patch is not None:
        names |= {file.path for file in diffs.parse(diffs.text_of(seen.patch)) if not file.is_gone}
    return Tree(frozenset(names))
