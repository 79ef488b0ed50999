"""Builds and everything below them, and the machines that run them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified, Numbered
from changes.builds.rules import Cause, CommandType, Priority, Result, Status
from changes.people.models import Author
from changes.projects.models import Plan, Project, Source


class Timed:
    """Something that starts and ends; the duration is derived, never stored beside the dates."""

    date_started: Mapped[datetime | None]
    date_finished: Mapped[datetime | None]

    @property
    def duration_ms(self) -> int | None:
        if self.date_started is None or self.date_finished is None:
            return None
        return round((self.date_finished - self.date_started).total_seconds() * 1000)


class Judged:
    status: Mapped[Status] = mapped_column(Numbered(Status), default=Status.QUEUED)
    result: Mapped[Result] = mapped_column(Numbered(Result), default=Result.UNKNOWN)

    @property
    def is_finished(self) -> bool:
        return self.status == Status.FINISHED


class Build(Identified, Timed, Judged, Base):
    __tablename__ = "build"

    number: Mapped[int]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # Builds that one request asked for together.
    collection_id: Mapped[UUID]
    source_id: Mapped[UUID] = mapped_column(ForeignKey("source.id", ondelete="CASCADE"), index=True)
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("author.id", ondelete="SET NULL"), index=True)
    cause: Mapped[Cause] = mapped_column(Numbered(Cause), default=Cause.UNKNOWN)
    priority: Mapped[Priority] = mapped_column(Numbered(Priority), default=Priority.DEFAULT)
    label: Mapped[str]
    target: Mapped[str]
    message: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    last_job_number: Mapped[int] = mapped_column(default=0, server_default="0")
    # When the verdict was known here; later than the last step's end by our own delay.
    date_decided: Mapped[datetime | None]
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    source: Mapped[Source] = relationship(lazy="joined", innerjoin=True)
    author: Mapped[Author | None] = relationship(lazy="joined")

    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        # Newest builds of a project, and newest of all, are what every page and list asks for.
        Index("ix_build_project_newest", "project_id", "id"),
        Index("ix_build_collection_id", "collection_id"),
        Index("ix_build_unfinished", "id", postgresql_where="status <> 3"),
        Index("ix_build_tags", "tags", postgresql_using="gin"),
    )


class Job(Identified, Timed, Judged, Base):
    """One plan inside a build."""

    __tablename__ = "job"

    number: Mapped[int]
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    label: Mapped[str]
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    build: Mapped[Build] = relationship()

    __table_args__ = (UniqueConstraint("build_id", "number"),)


class JobPlan(Identified, Base):
    """The plan as it was when the job was made; later changes of the plan do not reach the job."""

    __tablename__ = "job_plan"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), unique=True)
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    plan: Mapped[Plan] = relationship()


class JobPhase(Identified, Timed, Judged, Base):
    __tablename__ = "job_phase"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    label: Mapped[str]
    order: Mapped[int] = mapped_column(default=0)

    __table_args__ = (UniqueConstraint("job_id", "order"),)


class JobStep(Identified, Timed, Judged, Base):
    """One attempt. It never comes back to life: a repetition is a new step, the old one points to it."""

    __tablename__ = "job_step"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    phase_id: Mapped[UUID] = mapped_column(ForeignKey("job_phase.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    label: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=1, server_default="1")
    replacement_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("job_step.id", ondelete="SET NULL"), unique=True
    )
    node_id: Mapped[UUID | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"), index=True)
    cluster: Mapped[str | None]
    # Copied from the build, so that handing out needs no join.
    priority: Mapped[Priority] = mapped_column(Numbered(Priority), default=Priority.DEFAULT)
    timeout_s: Mapped[int]
    last_heartbeat: Mapped[datetime | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    node: Mapped["Node | None"] = relationship()
    job: Mapped[Job] = relationship()

    __table_args__ = (
        # The queue in the order of handing out, and what the sweep looks at.
        Index("ix_job_step_queue", text("priority DESC"), "id", postgresql_where="status = 6"),
        Index("ix_job_step_held", "last_heartbeat", postgresql_where="status IN (2, 4, 5)"),
    )


class Command(Identified, Timed, Base):
    __tablename__ = "command"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    label: Mapped[str]
    status: Mapped[Status] = mapped_column(Numbered(Status), default=Status.QUEUED)
    return_code: Mapped[int | None]
    script: Mapped[str]
    env: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cwd: Mapped[str] = mapped_column(default="")
    artifacts: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    order: Mapped[int]
    type: Mapped[CommandType] = mapped_column(Numbered(CommandType), default=CommandType.DEFAULT)

    __table_args__ = (UniqueConstraint("step_id", "order"),)


class FailureReason(Identified, Base):
    """Why something is not green, as an id that `reasons.py` puts into words.

    It hangs on a step where there is one; a build that could not even be planned has none.
    """

    __tablename__ = "failure_reason"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    step_id: Mapped[UUID | None] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), index=True)
    reason: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    __table_args__ = (
        UniqueConstraint("build_id", "job_id", "step_id", "reason", postgresql_nulls_not_distinct=True),
    )


class Node(Identified, Base):
    """A machine with an agent on it."""

    __tablename__ = "node"

    label: Mapped[str] = mapped_column(unique=True)
    slots: Mapped[int] = mapped_column(default=1)
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version: Mapped[str] = mapped_column(default="")
    # The agent's own key; empty once it was revoked.
    token_digest: Mapped[str | None] = mapped_column(unique=True)
    date_last_seen: Mapped[datetime | None]


class EnrolmentToken(Identified, Base):
    """Lets one new agent in, once."""

    __tablename__ = "enrolment_token"

    digest: Mapped[str] = mapped_column(unique=True)
    date_expires: Mapped[datetime]
    date_used: Mapped[datetime | None]
    node_id: Mapped[UUID | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"))
