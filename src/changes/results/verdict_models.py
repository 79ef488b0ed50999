"""What tests turn out to be: causes that failures have in common, flaky ones, those in quarantine."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified
from changes.results import run_numbers
from changes.results.models import Test


class FailureCause(Base):
    """What many failures of a project have in common, and what people know of it."""

    __tablename__ = "failure_cause"

    # Counted by the database: every message of a failure has one.
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    fingerprint: Mapped[str]
    headline: Mapped[str]
    # Where in the project's own code; empty where nothing tells it.
    place: Mapped[str] = mapped_column(default="", server_default="")
    # The number of a run tells when it was, too.
    first_run: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(default="", server_default="")
    # Only ever http or https.
    tracker_url: Mapped[str] = mapped_column(default="", server_default="")
    # A word of causes.VERDICTS; empty until somebody has looked.
    verdict: Mapped[str] = mapped_column(default="", server_default="")
    noted_by: Mapped[str] = mapped_column(default="", server_default="")
    date_noted: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("project_id", "fingerprint"),)

    @property
    def outside_id(self) -> UUID:
        return run_numbers.outside(self.id)

    @property
    def date_first(self) -> datetime:
        return run_numbers.made_at(self.first_run)

    @property
    def is_known(self) -> bool:
        return bool(self.note or self.tracker_url or self.verdict)


class FailureInBuild(Base):
    """That a cause was seen in a build, and how often; kept when the runs themselves are long gone."""

    __tablename__ = "failure_in_build"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), primary_key=True)
    cause_id: Mapped[int] = mapped_column(
        ForeignKey("failure_cause.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # The change that was built; where there is none, the source.
    change_key: Mapped[UUID]
    runs: Mapped[int]
    last_run: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_failure_in_build_cause", "cause_id", "last_run"),
        Index("ix_failure_in_build_project", "project_id", "last_run"),
        Index("ix_failure_in_build_newest", "last_run"),
    )


class TestFlakiness(Base):
    """How flaky a test is, and by what it is known; written anew by a periodic task (flaky.py)."""

    __tablename__ = "test_flakiness"

    test_id: Mapped[int] = mapped_column(
        ForeignKey("test.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # 0 to 100.
    score: Mapped[int] = mapped_column(SmallInteger)
    # What was looked at.
    runs: Mapped[int]
    sources: Mapped[int]
    # Sources on which it both passed and failed; runs that passed after having been run again;
    # failures that stand alone between passes.
    split_sources: Mapped[int]
    passed_again: Mapped[int]
    lone_failures: Mapped[int]
    # What it cost within the period.
    reruns: Mapped[int]
    red_builds: Mapped[int]
    lost_ms: Mapped[int] = mapped_column(BigInteger)
    # The newest run that is evidence.
    last_run: Mapped[int] = mapped_column(BigInteger)
    date_modified: Mapped[datetime]

    test: Mapped[Test] = relationship(lazy="raise_on_sql", viewonly=True)

    __table_args__ = (Index("ix_test_flakiness_score", "project_id", "score", "test_id"),)


class TestQuarantine(Identified, Base):
    """That a test may fail for a while. Kept when it is over: who did what, and why it ended."""

    __tablename__ = "test_quarantine"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    test_id: Mapped[int] = mapped_column(ForeignKey("test.id", ondelete="CASCADE"))
    # Who is to mend the test, and who put it here.
    owner: Mapped[str]
    reason: Mapped[str]
    created_by: Mapped[str]
    date_expires: Mapped[datetime]
    # So many passes in a row, of commits, let it return.
    passes_needed: Mapped[int]
    date_ended: Mapped[datetime | None]
    ended_by: Mapped[str] = mapped_column(default="", server_default="")
    ended_why: Mapped[str] = mapped_column(default="", server_default="")

    test: Mapped[Test] = relationship(lazy="raise_on_sql", viewonly=True)

    __table_args__ = (
        Index("uq_test_quarantine_live", "test_id", unique=True, postgresql_where=text("date_ended IS NULL")),
        Index("ix_test_quarantine_project", "project_id", "id"),
    )
