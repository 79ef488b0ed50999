"""The role of whoever knows how long tests took (results plays it)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from changes.base.db import Session
from changes.base.slot import Slot
from changes.builds.sharding import Durations


@dataclass(frozen=True)
class Asked:
    """Of which plan and branches; None and nothing where they do not matter."""

    project_id: UUID
    plan_id: UUID | None
    branches: Collection[str] = ()


class DurationHistory(Protocol):
    def of_tests(self, session: Session, asked: Asked) -> Durations:
        """Of the newest passed job that comes closest to what is asked for."""

    def of_targets(self, session: Session, asked: Asked) -> Durations:
        """The same for targets of Bazel."""


class NoHistory:
    def of_tests(self, session: Session, asked: Asked) -> Durations:  # noqa: ARG002 - the role's signature
        return Durations()

    def of_targets(self, session: Session, asked: Asked) -> Durations:  # noqa: ARG002 - the role's signature
        return Durations()


history: Slot[DurationHistory] = Slot("history of durations")
history.set(NoHistory())
