"""Which lines ran, as reports of coverage told it: for each step as it came, for each build put together.

A row for each file of each report would be a million for one build of a large repository. So files have a
number in their project, those with neighbouring numbers share a row, and of each file there are bits: the
first of them is its first line.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, Text, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base

FILES_PER_PACK = 64


class CoverageFile(Base):
    """A file that some report of a project told of, known by its path in the repository."""

    __tablename__ = "coverage_file"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    path: Mapped[str]
    # sha1, because a path may be longer than an index allows.
    path_sha: Mapped[str]

    __table_args__ = (UniqueConstraint("project_id", "path_sha"),)


class StepCoverage(Base):
    """What the reports of one step told. It counts as long as no other step stands for this one."""

    __tablename__ = "step_coverage"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    file_count: Mapped[int]
    # Names in its reports that are no files of the repository; the first of them.
    strange_count: Mapped[int] = mapped_column(default=0, server_default="0")
    strange_names: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")


class PackOfFiles:
    """`files` are numbers of CoverageFile; the other lists have a value for each of them. Bits of one file
    are equally many; `partial` is null where there are none.
    """

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    files: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    executable: Mapped[list[str]] = mapped_column(ARRAY(BIT(varying=True)))
    covered: Mapped[list[str]] = mapped_column(ARRAY(BIT(varying=True)))
    partial: Mapped[list[str | None]] = mapped_column(ARRAY(BIT(varying=True)))


class StepCoveragePack(PackOfFiles, Base):
    __tablename__ = "step_coverage_pack"

    step_id: Mapped[UUID] = mapped_column(
        ForeignKey("step_coverage.step_id", ondelete="CASCADE"), primary_key=True, sort_order=-1
    )


class BuildCoverage(Base):
    """The reports of all steps of a build, put together; made anew whenever one of them changes."""

    __tablename__ = "build_coverage"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    date_merged: Mapped[datetime]
    # Without a patch: only such builds tell how the coverage of a project is.
    is_of_commit: Mapped[bool]
    # How many steps told something.
    report_count: Mapped[int]
    file_count: Mapped[int]
    lines_covered: Mapped[int] = mapped_column(BigInteger)
    lines_uncovered: Mapped[int] = mapped_column(BigInteger)
    # Of the lines that its source adds; None where those are not known, and why.
    diff_lines_covered: Mapped[int | None]
    diff_lines_uncovered: Mapped[int | None]
    diff_problem: Mapped[str] = mapped_column(default="", server_default="")
    # What pages show of them (patch.py).
    patch: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    # Its steps' own reports were cleaned away; what was put together stands for them.
    is_folded: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (
        Index("ix_build_coverage_commits", "project_id", "build_id", postgresql_where=text("is_of_commit")),
        # What may be folded.
        Index("ix_build_coverage_loose", "date_merged", postgresql_where=text("not is_folded")),
    )


class BuildCoveragePack(PackOfFiles, Base):
    __tablename__ = "build_coverage_pack"

    build_id: Mapped[UUID] = mapped_column(
        ForeignKey("build_coverage.build_id", ondelete="CASCADE"), primary_key=True, sort_order=-1
    )
