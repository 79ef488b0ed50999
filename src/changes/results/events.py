"""What results announce. Listeners run after commit, at least once."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class CardPosted:
    """A card of a build is new or says something else; without a card it was taken back."""

    build_id: UUID
    key: str
    card_id: UUID | None
    version: int = 0


@dataclass(frozen=True)
class AnalyticsKept:
    """A step left rows behind for a table of somebody else's, and they may be sent there."""

    artifact_id: UUID
    table: str


@dataclass(frozen=True)
class QuarantineBegan:
    """A test may fail for a while; the row tells who said so, and why."""

    quarantine_id: UUID


@dataclass(frozen=True)
class QuarantineEnded:
    """It counts again: somebody lifted it, its time was over, or it passed often enough."""

    quarantine_id: UUID
    why: str
