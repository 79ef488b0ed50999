"""What makes builds by itself, and what was decided each time."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified
from changes.builds.models import Build


class TriggerDecision(Identified, Base):
    """Why a revision was built for a project, or why not. `plans` has the same for each of its plans."""

    __tablename__ = "trigger_decision"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # Its commit, or the one that a patch stands on; empty where nobody got so far.
    sha: Mapped[str]
    kind: Mapped[str]
    # Tells several of a kind apart: the branch of a push, the patch, the moment of a schedule.
    key: Mapped[str] = mapped_column(default="", server_default="")
    is_wanted: Mapped[bool]
    why: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    plans: Mapped[dict[str, Any]] = mapped_column(default=dict)
    build_id: Mapped[UUID | None] = mapped_column(ForeignKey("build.id", ondelete="SET NULL"), index=True)

    build: Mapped[Build | None] = relationship(viewonly=True)

    __table_args__ = (
        UniqueConstraint("project_id", "sha", "kind", "key"),
        Index("ix_trigger_decision_newest", "project_id", "id"),
        Index("ix_trigger_decision_created", "date_created"),
    )


class BuildSchedule(Identified, Base):
    """Builds a branch when a line of cron is due."""

    __tablename__ = "build_schedule"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str]
    cron: Mapped[str]
    zone: Mapped[str]
    # Empty is the default branch of the repository.
    branch: Mapped[str] = mapped_column(default="", server_default="")
    # Up to so much later, always the same for one moment, so that not all of them start at once.
    jitter_s: Mapped[int] = mapped_column(default=0, server_default="0")
    only_if_changed: Mapped[bool] = mapped_column(default=False, server_default="false")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    is_on: Mapped[bool] = mapped_column(default=True, server_default="true")
    # When the line is due next, and when it is begun: later by the jitter.
    tick: Mapped[datetime]
    date_due: Mapped[datetime]
    last_sha: Mapped[str] = mapped_column(default="", server_default="")
    last_error: Mapped[str] = mapped_column(default="", server_default="")
    date_last: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("ix_build_schedule_due", "date_due", postgresql_where="is_on"),
    )


class BuildHook(Identified, Base):
    """An address at which another program may ask for builds; it signs what it sends."""

    __tablename__ = "build_hook"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    date_used: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("project_id", "name"),)
