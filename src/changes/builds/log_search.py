"""The role of whoever can look into the log of a step (results plays it)."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from changes.base.db import Session
from changes.base.slot import Slot


class LogSearch(Protocol):
    def finds(self, session: Session, step_id: UUID, patterns: Sequence[str]) -> bool:
        """Whether a line near the end of its log matches one of these regular expressions."""


class NoLogs:
    def finds(self, session: Session, step_id: UUID, patterns: Sequence[str]) -> bool:  # noqa: ARG002 - the role's signature
        return False


search: Slot[LogSearch] = Slot("search in logs")
search.set(NoLogs())
