"""What is announced about repositories."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class RevisionsSeen:
    """Commits that a branch got since it was looked at last, oldest first; at most 500 per event.

    `is_first_import` says that they were there before this repository was known here.
    """

    repository_id: UUID
    branch: str
    shas: tuple[str, ...]
    is_first_import: bool
