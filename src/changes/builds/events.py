"""What builds announce. Listeners run after commit, at least once."""

from dataclasses import dataclass
from uuid import UUID

from changes.builds.rules import Result


@dataclass(frozen=True)
class JobFinished:
    job_id: UUID


@dataclass(frozen=True)
class StepFailed:
    """An attempt has ended and did not pass, whatever becomes of it above."""

    step_id: UUID


@dataclass(frozen=True)
class BuildFailing:
    """Its first failure is known, others of its jobs may still run. Once in the life of a build."""

    build_id: UUID


@dataclass(frozen=True)
class BuildFinished:
    """`ending` counts: a build of which parts were repeated ends once more."""

    build_id: UUID
    ending: int = 1


@dataclass(frozen=True)
class CollectionFinished:
    """All builds that one request asked for have ended."""

    collection_id: UUID
    result: Result


@dataclass(frozen=True)
class RevisionResultUpdated:
    """A commit is worth something else to a project than it was."""

    project_id: UUID
    sha: str
    build_id: UUID
    result: Result


@dataclass(frozen=True)
class LatestGreenMoved:
    """A branch has a newer commit that is green."""

    project_id: UUID
    branch: str
    sha: str
    build_id: UUID
