"""What builds produced: logs, artifacts, test runs, numbers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.builds.models import Job, JobStep
from changes.builds.rules import Result


class LogSource(Identified, Base):
    """One stream of output of one step, known by its name."""

    __tablename__ = "log_source"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    # All bytes before this offset are stored.
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    step: Mapped[JobStep] = relationship()

    __table_args__ = (UniqueConstraint("step_id", "name"),)


class LogChunk(Base):
    __tablename__ = "log_chunk"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("log_source.id", ondelete="CASCADE"), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size_bytes: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    # When it was read on its machine (read_times.py): bytes and milliseconds since 1970 in turns.
    times: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))


class Artifact(Identified, Base):
    __tablename__ = "artifact"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    # Where the bytes are in the blob store.
    key: Mapped[str]

    step: Mapped[JobStep] = relationship()

    __table_args__ = (UniqueConstraint("step_id", "name"),)


class ArtifactUpload(Base):
    """A large file on its way, as far as it came; its parts are put together when all are there."""

    __tablename__ = "artifact_upload"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    # Where the parts are in the blob store, in their order.
    keys: Mapped[list[str]] = mapped_column(ARRAY(Text))
    date_modified: Mapped[datetime]


class Test(Identified, Base):
    """A test of a project, known by its full name, however often it runs."""

    __tablename__ = "test"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # sha1 of the name: what its address on the web is made of.
    name_sha: Mapped[str]
    name: Mapped[str]
    owner: Mapped[str | None]

    __table_args__ = (UniqueConstraint("project_id", "name_sha"),)


class TestRun(Base):
    """One run of one test. Narrow, because there will be very many."""

    __tablename__ = "test_run"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    test_id: Mapped[UUID] = mapped_column(ForeignKey("test.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), index=True)
    result: Mapped[Result] = mapped_column(Numbered(Result))
    duration_ms: Mapped[int | None]
    reruns: Mapped[int | None]

    job: Mapped[Job] = relationship(viewonly=True)
    test: Mapped[Test] = relationship(viewonly=True)

    __table_args__ = (
        Index("ix_test_run_history", "test_id", "id"),
        Index("ix_test_run_job_id", "job_id"),
    )


class TestMessage(Base):
    """What a test that did not pass had to say."""

    __tablename__ = "test_message"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("test_run.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str]


class ItemStat(Base):
    """A number about a step, job or build; written again whenever it changes."""

    __tablename__ = "item_stat"

    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
