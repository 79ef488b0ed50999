"""The role of whoever reads what a step left behind (results plays it).

A step whose files must be read first is not finished when the agent says so; it ends when
the reader calls `report.results_collected`.
"""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from changes.base.db import Session
from changes.base.slot import Slot
from changes.builds.models import JobStep


class ResultCollector(Protocol):
    def collect(self, session: Session, step: JobStep) -> bool:
        """Starts reading if there is anything to read, and says so."""

    def may_excuse(self, session: Session, step: JobStep) -> bool:
        """Whether some of its tests may fail without failing it: then it is told when they are read."""

    def leave_out(self, session: Session, step_ids: Collection[UUID]) -> None:
        """Newer attempts take the place of these: what was read of them counts no more."""


class NothingToCollect:
    def collect(self, session: Session, step: JobStep) -> bool:  # noqa: ARG002 - the role's signature
        return False

    def may_excuse(self, session: Session, step: JobStep) -> bool:  # noqa: ARG002 - the role's signature
        return False

    def leave_out(self, session: Session, step_ids: Collection[UUID]) -> None:
        """There is nothing."""


collector: Slot[ResultCollector] = Slot("collector of results")
collector.set(NothingToCollect())
