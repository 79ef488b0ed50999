"""What branches have come to: the newest build of each that was green, and what each revision is worth."""

from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.builds.models import Build
from changes.builds.rules import Result


class LatestGreenBuild(Identified, Base):
    """The newest commit of a branch that was green; newest by the history, not by the clock."""

    __tablename__ = "latest_green_build"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    branch: Mapped[str]
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    # Of the build, so that a question about the history needs no join.
    sha: Mapped[str]

    build: Mapped[Build] = relationship()

    __table_args__ = (UniqueConstraint("project_id", "branch"),)


class RevisionResult(Identified, Base):
    """What a commit is worth to a project: its newest build, and what its parent lends it."""

    __tablename__ = "revision_result"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    revision_sha: Mapped[str]
    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), index=True)
    result: Mapped[Result] = mapped_column(Numbered(Result))

    build: Mapped[Build] = relationship()

    __table_args__ = (UniqueConstraint("project_id", "revision_sha"),)
