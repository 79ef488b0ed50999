"""What was cleaned away, and how much lay where on each day."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, true
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base, Identified

# A single piece never takes so long.
SILENCE = timedelta(minutes=5)
OF_NOBODY = UUID(int=0)


class CleanUp(Identified, Base):
    """One kind of things in one run of the cleaning."""

    __tablename__ = "clean_up"

    kind: Mapped[str]
    # Empty where the clock asked.
    asked_by: Mapped[str] = mapped_column(default="", server_default="")
    items: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # What the rows said they take, and what the store really gave back.
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    freed_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    took_ms: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # False while it goes on, and for ever where it was stopped in the middle.
    is_done: Mapped[bool] = mapped_column(default=True, server_default=true())

    def has_stalled(self, now: datetime) -> bool:
        """It says every few seconds how far it has come."""
        return not self.is_done and now - self.date_created > timedelta(milliseconds=self.took_ms) + SILENCE


class DiskUse(Base):
    """How much of a kind lay there on a day, of one project or (`OF_NOBODY`) of none."""

    __tablename__ = "disk_use"

    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    items: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    date_measured: Mapped[datetime]
