"""Lines of logs that tell what went wrong, and in which builds each was seen."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base, Numbered
from changes.results import run_numbers


class Severity(IntEnum):
    """How bad it is by itself; what comes of it is another matter (log_patterns.py)."""

    WARNING = 1
    ERROR = 2
    FATAL = 3


class LogError(Base):
    """What lines of logs of a project have in common: all of it, without what differs each time."""

    __tablename__ = "log_error"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # sha1 of what is left of the line.
    key: Mapped[str]
    # As it was said when it was seen first, and what knew it then.
    text: Mapped[str]
    pattern: Mapped[str]
    severity: Mapped[Severity] = mapped_column(Numbered(Severity))
    rank: Mapped[int] = mapped_column(SmallInteger)
    # In how many builds it was ever seen, also in those that are not kept any more; the first and newest.
    builds: Mapped[int] = mapped_column(default=0, server_default="0")
    first_build_id: Mapped[UUID]
    date_first: Mapped[datetime]
    last_build_id: Mapped[UUID]
    date_last: Mapped[datetime]
    # What people know of it.
    note: Mapped[str] = mapped_column(default="", server_default="")
    # Only ever http or https.
    tracker_url: Mapped[str] = mapped_column(default="", server_default="")
    noted_by: Mapped[str] = mapped_column(default="", server_default="")
    date_noted: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("project_id", "key"),)

    @property
    def outside_id(self) -> UUID:
        return run_numbers.outside(self.id)

    @property
    def is_known(self) -> bool:
        return bool(self.note or self.tracker_url)


class LogErrorInBuild(Base):
    """That it was seen in a build, and in how many lines of it."""

    __tablename__ = "log_error_in_build"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), primary_key=True)
    error_id: Mapped[int] = mapped_column(
        ForeignKey("log_error.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    lines: Mapped[int]

    __table_args__ = (
        # The number of a build tells when it was made, so these are in order of time.
        Index("ix_log_error_in_build_error", "error_id", "build_id"),
        Index("ix_log_error_in_build_project", "project_id", "build_id"),
    )


class LogErrorLine(Base):
    """Where it stands. Of many that are alike in one log only the first."""

    __tablename__ = "log_error_line"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("log_source.id", ondelete="CASCADE"), primary_key=True)
    # Lines count from 1; what belongs to it begins with another one, a traceback for instance.
    line: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    begins: Mapped[int] = mapped_column(BigInteger)
    error_id: Mapped[int] = mapped_column(ForeignKey("log_error.id", ondelete="CASCADE"), index=True)
    text: Mapped[str]
    # How many lines of this log are like it.
    times: Mapped[int]
    # Of those that say most: some lines around it as they are shown, and the number of the first of them.
    around: Mapped[str] = mapped_column(default="", server_default="")
    around_first: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class LogLook(Base):
    """That a log was looked through, and how much of it."""

    __tablename__ = "log_look"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("log_source.id", ondelete="CASCADE"), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # In the middle of a log that is too long.
    skipped_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # How many lines told of something, of which some are kept.
    found: Mapped[int]
