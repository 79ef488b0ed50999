"""What builds produced: logs, artifacts, test runs, numbers."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import run_numbers


class LogSource(Identified, Base):
    """One stream of output of one step, known by its name."""

    __tablename__ = "log_source"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    # All bytes before this offset are stored.
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # How many of their lines have an end; None where a server wrote that did not count them yet.
    newlines: Mapped[int | None] = mapped_column(BigInteger)
    # Whether all of it lies as it will stay (log_packing.py).
    is_packed: Mapped[bool] = mapped_column(default=False, server_default=false())
    # When they were cleaned away (keeping.py).
    date_removed: Mapped[datetime | None]

    step: Mapped[JobStep] = relationship()

    __table_args__ = (
        UniqueConstraint("step_id", "name"),
        Index("ix_log_source_loose", "id", postgresql_where=text("not is_packed")),
    )


class LogChunk(Base):
    """Some bytes of a log. They are `data`, or else they are compressed (log_frames.py): then they are
    `packed`, or lie in the blob store.
    """

    __tablename__ = "log_chunk"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("log_source.id", ondelete="CASCADE"), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size_bytes: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    # When it was read on its machine (read_times.py): bytes and milliseconds since 1970 in turns.
    times: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    # How many lines have their end before it; None where nobody has counted them.
    lines_before: Mapped[int | None] = mapped_column(BigInteger)
    # Of what is compressed: where which bytes and lines of it are.
    frames: Mapped[bytes | None] = mapped_column(LargeBinary)
    packed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Where it is in the blob store, and how many bytes it has there.
    key: Mapped[str | None]
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_log_chunk_key", "key", postgresql_where=text("key is not null")),)


class Artifact(Identified, Base):
    __tablename__ = "artifact"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    # Where the bytes are in the blob store.
    key: Mapped[str]
    # When they were cleaned away (keeping.py); the row still tells that they were there.
    date_removed: Mapped[datetime | None]

    step: Mapped[JobStep] = relationship()

    __table_args__ = (
        UniqueConstraint("step_id", "name"),
        Index("ix_artifact_sha256", "sha256", postgresql_where=text("date_removed IS NULL")),
    )


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


class Test(Base):
    """A test of a project, known by its full name, however often it runs."""

    __tablename__ = "test"

    # Counted by the database: half of each row of its runs would be a longer one.
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    date_created: Mapped[datetime] = mapped_column(server_default=text("now()"))
    # No foreign key: to ask it for each of ten thousand new tests takes half as long as to write them, and
    # their batch, which is stored with them, has one.
    project_id: Mapped[UUID]
    # sha1 of the name: what its address on the web is made of.
    name_sha: Mapped[str]
    name: Mapped[str]
    owner: Mapped[str | None]

    __table_args__ = (UniqueConstraint("project_id", "name_sha"),)

    @property
    def outside_id(self) -> UUID:
        return run_numbers.outside(self.id)


class TestBatch(Base):
    """All runs that one step reported. They have the numbers from its own to `end_id`."""

    __tablename__ = "test_batch"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    end_id: Mapped[int] = mapped_column(BigInteger)
    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), unique=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    date_created: Mapped[datetime]
    # Whether it is of a commit, without a patch: what is told of a day counts only these.
    is_of_commit: Mapped[bool]
    # Whether its runs are in the sums of its day.
    is_summed_up: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (
        Index("ix_test_batch_project", "project_id", "id"),
        Index("ix_test_batch_waiting", "id", postgresql_where=text("not is_summed_up")),
    )


class TestRun(Base):
    """One run of one test. Narrow, because there will be very many; the rest is told by its batch."""

    __tablename__ = "test_run"

    # Together they are its key: no other index than that of the histories has an entry for each run.
    test_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    duration_ms: Mapped[int | None]
    result: Mapped[Result] = mapped_column(Numbered(Result))
    reruns: Mapped[int | None] = mapped_column(SmallInteger)

    test: Mapped[Test] = relationship(
        primaryjoin="foreign(TestRun.test_id) == Test.id", viewonly=True, lazy="raise_on_sql"
    )

    # Without foreign keys, which would double the time that storing takes.
    __table_args__ = (
        Index("ix_test_run_history", "test_id", "id"),
        # All runs of a batch have one entry in common: 7 bytes for each, where an index of numbers takes 22.
        Index("ix_test_run_batch", text(f"(id & '{run_numbers.BATCH_MASK}'::bigint)")),
        # Of each sixteen pages the least and the greatest number: 32 kB for a million runs, by which one of a
        # batch of a million is found. New pages are told to it by packing.py.
        Index("ix_test_run_place", "id", postgresql_using="brin", postgresql_with={"pages_per_range": 16}),
        # The newest failure and the newest flaky run of a test are asked for more often than any other.
        Index("ix_test_run_failed", "test_id", "id", postgresql_where=text("result = 2")),
        Index("ix_test_run_rerun", "test_id", "id", postgresql_where=text("reruns > 0")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    @property
    def outside_id(self) -> UUID:
        return run_numbers.outside(self.id)


class TestMessage(Base):
    """What a test that did not pass had to say."""

    __tablename__ = "test_message"

    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    text: Mapped[str]
    # What it has in common with other failures (causes.py).
    cause_id: Mapped[int | None]

    __table_args__ = (
        Index("ix_test_message_cause", "cause_id", "run_id"),
        {"postgresql_partition_by": "RANGE (run_id)"},
    )


class TestDay(Base):
    """The runs of one test on one day, of commits; kept when the runs themselves are long gone."""

    __tablename__ = "test_day"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    test_id: Mapped[int] = mapped_column(
        ForeignKey("test.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    runs: Mapped[int]
    passed: Mapped[int]
    failed: Mapped[int]
    # Passed after having been run again, once or more often.
    flaky: Mapped[int]
    double_reruns: Mapped[int]
    reruns: Mapped[int]
    # Of how many runs the duration is known, what they took together, and the longest.
    measured: Mapped[int]
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    longest_ms: Mapped[int]

    __table_args__ = (Index("ix_test_day_of_test", "test_id", "day"),)


class TestFlakyDay(Base):
    """The days of TestDay on which a test was flaky, one row in twenty or fewer: among the others those of a
    list of fifty days would lie on a thousand pages.
    """

    __tablename__ = "test_flaky_day"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    # No foreign key, which needed an index: tests go with their project.
    test_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    flaky: Mapped[int]
    double_reruns: Mapped[int]
    passed: Mapped[int]
    reruns: Mapped[int]
    # The newest flaky run of the day; None where it is not known, as a report was taken back.
    last_run: Mapped[int | None] = mapped_column(BigInteger)

    # Fifty days of a project lie on eighty pages, and on thirty of the index. That is enough where a vacuum
    # has been since, so one comes after the days of a week instead of those of a season.
    __table_args__ = (
        PrimaryKeyConstraint(
            "project_id", "day", "test_id", postgresql_include=["flaky", "double_reruns", "passed"]
        ),
        {
            "postgresql_with": {
                "autovacuum_vacuum_insert_threshold": 2000,
                "autovacuum_vacuum_insert_scale_factor": 0,
                "autovacuum_vacuum_threshold": 2000,
                "autovacuum_vacuum_scale_factor": 0.02,
            }
        },
    )


class TestOnPatch(Base):
    """A test that failed on a source with a patch, or passed there only after it was run again. The sums of
    the days know commits alone; of patches that is what tells a flaky test from one that a patch breaks.
    """

    __tablename__ = "test_on_patch"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("source.id", ondelete="CASCADE"), primary_key=True)
    # No foreign key, which needed an index: tests go with their project.
    test_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # The last on which it did so.
    day: Mapped[date]
    failed: Mapped[int]
    # Passed after having been run again, how often it was, and how long that took.
    flaky: Mapped[int]
    reruns: Mapped[int]
    rerun_ms: Mapped[int] = mapped_column(BigInteger)
    # It has passed on the same source as well, in the same plan.
    is_split: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (Index("ix_test_on_patch_project", "project_id", "day"),)


class ProjectDay(Base):
    """The runs of all tests of a project on one day: the sums of TestDay, of which there are thousands."""

    __tablename__ = "project_day"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    tests: Mapped[int]
    runs: Mapped[int] = mapped_column(BigInteger)
    passed: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    flaky: Mapped[int] = mapped_column(BigInteger)
    double_reruns: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(BigInteger)


class ItemStat(Base):
    """A number about a step, job or build; written again whenever it changes."""

    __tablename__ = "item_stat"

    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
