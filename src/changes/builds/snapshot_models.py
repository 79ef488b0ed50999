"""What outlives a step: snapshots, caches, and the bytes of both."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified, Numbered
from changes.builds.models import Build, Job
from changes.builds.snapshot_rules import SnapshotStatus
from changes.projects.models import Plan, Project, Source


class Blob(Base):
    """Bytes by their digest; `keys` are their parts in the store, in order."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    keys: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # When somebody sent it last; what is new is about to be used.
    date_sent: Mapped[datetime] = mapped_column(default=clock.now)


class BlobUpload(Base):
    """A blob on its way. Each step sends its own: that a digest is known shows nobody what is behind it."""

    __tablename__ = "blob_upload"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    keys: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # All parts came, and had the digest that was said.
    is_whole: Mapped[bool] = mapped_column(default=False, server_default="false")
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, index=True)


class CacheEntry(Identified, Base):
    __tablename__ = "cache_entry"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    # Empty for what trusted builds keep; of others the source that they build, and nobody else reads it.
    realm: Mapped[str] = mapped_column(default="", server_default="")
    key: Mapped[str]
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    date_used: Mapped[datetime] = mapped_column(default=clock.now)

    __table_args__ = (
        UniqueConstraint("project_id", "realm", "key"),
        Index("ix_cache_entry_used", "project_id", "date_used"),
    )


class Snapshot(Identified, Base):
    """The state of machines after set-up, one image for each plan."""

    __tablename__ = "snapshot"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    build_id: Mapped[UUID | None] = mapped_column(ForeignKey("build.id", ondelete="SET NULL"), unique=True)
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("source.id", ondelete="SET NULL"), index=True)
    status: Mapped[SnapshotStatus] = mapped_column(Numbered(SnapshotStatus), default=SnapshotStatus.UNKNOWN)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    build: Mapped[Build | None] = relationship()
    source: Mapped[Source | None] = relationship()
    images: Mapped[list["SnapshotImage"]] = relationship(
        back_populates="snapshot", order_by="SnapshotImage.id", passive_deletes=True
    )

    __table_args__ = (Index("ix_snapshot_newest", "project_id", "id"),)


class SnapshotImage(Identified, Base):
    __tablename__ = "snapshot_image"

    snapshot_id: Mapped[UUID] = mapped_column(ForeignKey("snapshot.id", ondelete="CASCADE"))
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), index=True)
    # The job that makes it.
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), unique=True)
    status: Mapped[SnapshotStatus] = mapped_column(Numbered(SnapshotStatus), default=SnapshotStatus.UNKNOWN)
    # How the agent made it; an image of the original's agents has no bytes here.
    kind: Mapped[str] = mapped_column(default="archive", server_default="archive")
    sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # Why there is none.
    problem: Mapped[str] = mapped_column(default="", server_default="")

    snapshot: Mapped[Snapshot] = relationship(back_populates="images", lazy="joined", innerjoin=True)
    plan: Mapped[Plan] = relationship()
    job: Mapped[Job | None] = relationship()

    __table_args__ = (UniqueConstraint("snapshot_id", "plan_id"),)


class CachedSnapshotImage(Base):
    """Machines of the image's cluster are to keep it at hand; without a date until further notice."""

    __tablename__ = "cached_snapshot_image"

    id: Mapped[UUID] = mapped_column(ForeignKey("snapshot_image.id", ondelete="CASCADE"), primary_key=True)
    expiration_date: Mapped[datetime | None]

    image: Mapped[SnapshotImage] = relationship()


class JobSnapshot(Base):
    """Which image a job begins with."""

    __tablename__ = "job_snapshot"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[UUID] = mapped_column(ForeignKey("snapshot_image.id", ondelete="CASCADE"), index=True)
