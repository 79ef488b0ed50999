"""What builds announce. Listeners run after commit, at least once."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class JobFinished:
    job_id: UUID


@dataclass(frozen=True)
class BuildFinished:
    build_id: UUID
