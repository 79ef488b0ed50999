"""Builds and everything below them, and the machines that run them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified, Numbered
from changes.builds import housing
from changes.builds.bazel import ResultSource
from changes.builds.queue_rules import NodeKind, NodeState
from changes.builds.rules import Cause, CommandType, Origin, Priority, Result, ResultRule, Status
from changes.people.models import Author
from changes.projects.models import Plan, Project, Source

# Of which None is no value at all, and not a value of JSON.
COUNTED = JSONB(none_as_null=True)


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
    # Whoever asked for it: the address of a person, or the name of a token; empty where no request did.
    asked_by: Mapped[str] = mapped_column(default="", server_default="")
    cause: Mapped[Cause] = mapped_column(Numbered(Cause), default=Cause.UNKNOWN)
    # False for a patch of somebody without rights on the project: its steps get no secrets, and run in
    # nothing weaker than a sandbox with limits.
    is_trusted: Mapped[bool] = mapped_column(default=True, server_default="true")
    # A program asked for it, not a person; people come first (lanes.py).
    is_automatic: Mapped[bool] = mapped_column(default=False, server_default="false")
    priority: Mapped[Priority] = mapped_column(Numbered(Priority), default=Priority.DEFAULT)
    label: Mapped[str]
    target: Mapped[str]
    message: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    last_job_number: Mapped[int] = mapped_column(default=0, server_default="0")
    # How its jobs are summed up, as the project said when the build was made.
    result_rule: Mapped[ResultRule] = mapped_column(
        Numbered(ResultRule), default=ResultRule.ALL, server_default="0"
    )
    # What was asked for besides its source: names of plans, and values of their parameters (wishes.py).
    wishes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    # What its jobs are, counted (tally.py); None = nobody has counted yet.
    tally: Mapped[dict[str, Any] | None] = mapped_column(COUNTED)
    # The build that this one repeats.
    retried_id: Mapped[UUID | None] = mapped_column(ForeignKey("build.id", ondelete="SET NULL"), index=True)
    # When the verdict was known here; later than the last step's end by our own delay.
    date_decided: Mapped[datetime | None]
    # When the first failure was seen, which is told once.
    date_failing: Mapped[datetime | None]
    # How long each of its steps may wait for an agent, and all of it may take; None = there is no limit.
    queue_limit_s: Mapped[int | None]
    overall_limit_s: Mapped[int | None]
    # When all of it must have ended, by the database's clock.
    date_due: Mapped[datetime | None]
    # How often it ended; more than once when parts of it were repeated.
    endings: Mapped[int] = mapped_column(default=0, server_default="0")
    # Somebody wants it kept, with all that it found, longer than others are (pins.py).
    date_pinned: Mapped[datetime | None]
    pinned_by: Mapped[str] = mapped_column(default="", server_default="")
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    source: Mapped[Source] = relationship(lazy="joined", innerjoin=True)
    author: Mapped[Author | None] = relationship(lazy="joined")

    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        # Newest builds of a project, and newest of all, are what every page and list asks for.
        Index("ix_build_project_newest", "project_id", "id"),
        Index("ix_build_collection_id", "collection_id"),
        Index("ix_build_asked_by", func.lower(text("asked_by")), "id", postgresql_where="asked_by <> ''"),
        Index("ix_build_unfinished", "id", postgresql_where="status <> 3"),
        Index("ix_build_pinned", "id", postgresql_where="date_pinned IS NOT NULL"),
        Index("ix_build_due", "date_due", postgresql_where="status <> 3 AND date_due IS NOT NULL"),
        Index("ix_build_tags", "tags", postgresql_using="gin"),
    )


class OutsideBuild(Base):
    """Says of a build that another system ran it and only told us; no agent of ours holds its steps."""

    __tablename__ = "outside_build"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # What the other system calls it: told again, it is the same build.
    external_id: Mapped[str]
    # Where people can look at it there; only ever http or https.
    url: Mapped[str] = mapped_column(default="", server_default="")
    # By the clock of the database, as the sweep reads it.
    date_heard: Mapped[datetime]

    __table_args__ = (UniqueConstraint("project_id", "external_id"),)


class Job(Identified, Timed, Judged, Base):
    """One plan inside a build."""

    __tablename__ = "job"

    number: Mapped[int]
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    label: Mapped[str]
    # Its failure does not count where the build's rule asks for the required ones only.
    is_optional: Mapped[bool] = mapped_column(default=False, server_default="false")
    # How long its plan usually took when the job was made; None = nobody knows.
    expected_ms: Mapped[int | None]
    # What its phases are, counted.
    tally: Mapped[dict[str, Any] | None] = mapped_column(COUNTED)
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


class JobNeed(Base):
    """A job that waits until another one of its build has passed."""

    __tablename__ = "job_need"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    needs_id: Mapped[UUID] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class JobPhase(Identified, Timed, Judged, Base):
    __tablename__ = "job_phase"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    label: Mapped[str]
    order: Mapped[int] = mapped_column(default=0)
    # Of a phase whose steps a collecting step names: what was collected, once it was.
    data: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    # What the newest attempts at its steps are, counted.
    tally: Mapped[dict[str, Any] | None] = mapped_column(COUNTED)

    __table_args__ = (UniqueConstraint("job_id", "order"),)


class JobStep(Identified, Timed, Judged, Base):
    """One attempt. It never comes back to life: a repetition is a new step, the old one points to it."""

    __tablename__ = "job_step"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    phase_id: Mapped[UUID] = mapped_column(ForeignKey("job_phase.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    label: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=1, server_default="1")
    # The next attempt; itself where it was set aside and nothing comes after it (set_aside.py).
    replacement_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("job_step.id", ondelete="SET NULL"), index=True
    )
    # Why there is this attempt.
    origin: Mapped[Origin] = mapped_column(Numbered(Origin), default=Origin.FIRST, server_default="0")
    node_id: Mapped[UUID | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"))
    cluster: Mapped[str | None]
    # Copied from the build, so that handing out needs no join.
    priority: Mapped[Priority] = mapped_column(Numbered(Priority), default=Priority.DEFAULT)
    timeout_s: Mapped[int]
    # Where it waits, or waited, for an agent (lanes.py); None = it must not be handed out yet.
    lane_id: Mapped[UUID | None]
    # Its end makes room for others that wait: for a limit, or for the rest of its machine.
    is_limited: Mapped[bool] = mapped_column(default=False, server_default="false")
    # How long it may wait for an agent; None = as long as it takes.
    queue_limit_s: Mapped[int | None]
    # All by the database's clock: since when it waits for an agent, not before when it is handed out
    # (a pause between two attempts), and when an agent took it.
    date_pending: Mapped[datetime] = mapped_column(server_default=func.now())
    not_before: Mapped[datetime | None]
    date_allocated: Mapped[datetime | None]
    last_heartbeat: Mapped[datetime | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    node: Mapped["Node | None"] = relationship()
    job: Mapped[Job] = relationship()

    @property
    def is_set_aside(self) -> bool:
        """What named it was asked again, and did not name it any more (set_aside.py)."""
        return self.replacement_id == self.id

    __table_args__ = (
        # The lanes of the queue, each oldest first; and what has not entered one yet.
        Index("ix_job_step_queue", "lane_id", "id", postgresql_where="status = 6"),
        Index("ix_job_step_arriving", "id", postgresql_where="status = 6 AND lane_id IS NULL"),
        # What runs now, counted by lane for limits and by machine for its room.
        Index("ix_job_step_running_lane", "lane_id", postgresql_where="status IN (2, 5)"),
        Index("ix_job_step_running_node", "node_id", postgresql_where="status IN (2, 5)"),
        # The newest steps of a machine.
        Index("ix_job_step_node_id", "node_id", "id"),
        # What the sweep looks at.
        Index("ix_job_step_held", "last_heartbeat", postgresql_where="status IN (2, 4, 5)"),
        Index(
            "ix_job_step_queue_limited",
            "date_pending",
            postgresql_where="status = 6 AND queue_limit_s IS NOT NULL",
        ),
        # The newest that machines lost.
        Index("ix_job_step_lost_ones", "id", postgresql_where="result = 6"),
        # How often machines lost something of a job.
        Index("ix_job_step_lost", "job_id", postgresql_where="origin = 1"),
    )


class Command(Identified, Timed, Base):
    __tablename__ = "command"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    label: Mapped[str]
    status: Mapped[Status] = mapped_column(Numbered(Status), default=Status.QUEUED)
    return_code: Mapped[int | None]
    # What it used, as the agent counted it; None where nobody did.
    cpu_ms: Mapped[int | None] = mapped_column(BigInteger)
    peak_memory_kb: Mapped[int | None] = mapped_column(BigInteger)
    script: Mapped[str]
    env: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cwd: Mapped[str] = mapped_column(default="")
    artifacts: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    order: Mapped[int]
    type: Mapped[CommandType] = mapped_column(Numbered(CommandType), default=CommandType.DEFAULT)

    __table_args__ = (UniqueConstraint("step_id", "order"),)


class Expansion(Base):
    """A long list that a collecting step named, until a worker has made steps of it (expanding.py)."""

    __tablename__ = "expansion"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str]
    # How much it names.
    size: Mapped[int]
    # False while something else that the step left behind is still to be read.
    is_read: Mapped[bool] = mapped_column(default=False, server_default="false")


class BazelTarget(Identified, Base):
    """A target that a collecting step named; its result is unknown until its step reported it."""

    __tablename__ = "bazel_target"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    # None for one that is not run.
    step_id: Mapped[UUID | None] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    result: Mapped[Result] = mapped_column(Numbered(Result), default=Result.UNKNOWN)
    source: Mapped[ResultSource] = mapped_column(Numbered(ResultSource), default=ResultSource.FROM_SELF)
    duration_ms: Mapped[int | None]
    message: Mapped[str] = mapped_column(default="", server_default="")

    __table_args__ = (
        UniqueConstraint("job_id", "step_id", "name"),
        # Those that take their result from another build.
        Index("ix_bazel_target_borrowed", "job_id", postgresql_where="source = 1"),
    )


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
    kind: Mapped[NodeKind] = mapped_column(Numbered(NodeKind), default=NodeKind.AGENT, server_default="0")
    slots: Mapped[int] = mapped_column(default=1)
    # What it was given, and what its agent found out.
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version: Mapped[str] = mapped_column(default="")
    # The agent's own key; empty once it was revoked.
    token_digest: Mapped[str | None] = mapped_column(unique=True)
    date_token: Mapped[datetime | None]
    # The key that replaces it, once the agent has shown that it has it; and the one before, which is
    # good for some minutes more, because requests with it may be on their way (agent_keys.py).
    next_token_digest: Mapped[str | None] = mapped_column(unique=True)
    former_token_digest: Mapped[str | None] = mapped_column(unique=True)
    former_token_until: Mapped[datetime | None]
    # Somebody asked for another key.
    is_token_due: Mapped[bool] = mapped_column(default=False, server_default="false")
    # What its agent says of itself at each start.
    protocol: Mapped[int] = mapped_column(default=0, server_default="0")
    sandboxes: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    limits: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    # Why it takes no steps although it could: the disk is full, for instance.
    problem: Mapped[str] = mapped_column(default="", server_default="")
    date_started: Mapped[datetime | None]
    date_last_seen: Mapped[datetime | None]
    # Which run of its agent said so last, and when another one was heard that runs beside it (greeting.py).
    agent_run: Mapped[str] = mapped_column(default="", server_default="")
    date_twin_heard: Mapped[datetime | None]
    # What it offers to steps that say what they need; 0 = it never told, so nothing is counted.
    cpus: Mapped[int] = mapped_column(default=0, server_default="0")
    memory_mb: Mapped[int] = mapped_column(default=0, server_default="0")
    # What an operator said of it, and why.
    state: Mapped[NodeState] = mapped_column(
        Numbered(NodeState), default=NodeState.ACTIVE, server_default="0"
    )
    state_reason: Mapped[str] = mapped_column(default="", server_default="")
    # Too many steps in a row got lost on it (health.py): nothing until then, after that one to try.
    quarantined_until: Mapped[datetime | None]
    quarantines: Mapped[int] = mapped_column(default=0, server_default="0")
    # What happened before is forgiven.
    date_trusted: Mapped[datetime | None]

    @property
    def own_labels(self) -> dict[str, Any]:
        return housing.own_labels(self.labels)

    @property
    def is_revoked(self) -> bool:
        """A machine on which others start agents never had a key."""
        return self.token_digest is None and self.kind != NodeKind.LAUNCHED


class EnrolmentToken(Identified, Base):
    """Lets one new agent in, once."""

    __tablename__ = "enrolment_token"

    digest: Mapped[str] = mapped_column(unique=True)
    date_expires: Mapped[datetime]
    date_used: Mapped[datetime | None]
    node_id: Mapped[UUID | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"))
