"""Sums of finished work, by day. Kept when the builds themselves are long gone, so nothing refers to them."""

from datetime import date, datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base, Numbered
from changes.builds.rules import Result

# In the place of a project: the sums over all of them.
ALL_PROJECTS = UUID(int=0)


class Scope(IntEnum):
    """What is summed up, and by what."""

    # Builds; the owner is the project.
    BUILDS = 1
    # Jobs, by their plan.
    JOBS = 2
    # All attempts of steps, by the machine that held them.
    STEPS = 3


class Measure(IntEnum):
    TOOK = 1
    WAITED = 2


class WorkDay(Base):
    """What was asked for on this day (UTC) and has ended since."""

    __tablename__ = "work_day"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    scope: Mapped[Scope] = mapped_column(Numbered(Scope), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    # Not of a patch.
    is_of_commit: Mapped[bool] = mapped_column(primary_key=True)
    result: Mapped[Result] = mapped_column(Numbered(Result), primary_key=True)
    count: Mapped[int]
    took_ms: Mapped[int] = mapped_column(BigInteger)
    longest_ms: Mapped[int] = mapped_column(BigInteger)
    waited_ms: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_work_day_of_all", "day", "scope"),)


class WorkSpread(Base):
    """How many of them took, or waited, about how long (spread.py)."""

    __tablename__ = "work_spread"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    scope: Mapped[Scope] = mapped_column(Numbered(Scope), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    is_of_commit: Mapped[bool] = mapped_column(primary_key=True)
    result: Mapped[Result] = mapped_column(Numbered(Result), primary_key=True)
    measure: Mapped[Measure] = mapped_column(Numbered(Measure), primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int]

    __table_args__ = (Index("ix_work_spread_of_all", "day", "scope"),)


class SlowStep(Base):
    """Those that took longest of a project's day; in the place of a project, of all."""

    __tablename__ = "slow_step"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    plan_id: Mapped[UUID | None]
    is_of_commit: Mapped[bool]
    result: Mapped[Result] = mapped_column(Numbered(Result))
    took_ms: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_slow_step_step_id", "step_id"),)


class StaleDay(Base):
    """Builds of this day ended since it was counted."""

    __tablename__ = "stale_day"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    date_created: Mapped[datetime] = mapped_column(server_default=text("now()"))
