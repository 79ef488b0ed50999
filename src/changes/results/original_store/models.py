"""What the original's agents put into their artifact store, beside the logs and artifacts it becomes."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from changes.base import clock
from changes.base.db import Base, Numbered


class BucketState(IntEnum):
    OPEN = 1
    CLOSED = 2


class ArtifactState(IntEnum):
    """The numbers travel; those that are missing here no store ever set, or only in passing."""

    APPENDING = 2
    WAITING_FOR_UPLOAD = 4
    UPLOADED = 6
    CLOSED_WITHOUT_DATA = 8


class StoreBucket(Base):
    """One per step, which is its name."""

    __tablename__ = "store_bucket"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True)
    owner: Mapped[str]
    date_created: Mapped[datetime] = mapped_column(default=clock.now)
    date_closed: Mapped[datetime | None]

    @property
    def state(self) -> BucketState:
        return BucketState.OPEN if self.date_closed is None else BucketState.CLOSED


class StoreArtifact(Base):
    __tablename__ = "store_artifact"

    # A number on the wire, hence not one of our ids.
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    step_id: Mapped[UUID] = mapped_column(ForeignKey("store_bucket.step_id", ondelete="CASCADE"))
    name: Mapped[str]
    relative_path: Mapped[str]
    # The name of the log or artifact of the step that holds the bytes.
    kept_as: Mapped[str]
    # As it was announced, never nothing; 0 is that of a log, which ends where it ends.
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[ArtifactState] = mapped_column(Numbered(ArtifactState))
    deadline_min: Mapped[int]
    date_created: Mapped[datetime] = mapped_column(default=clock.now)

    __table_args__ = (
        UniqueConstraint("step_id", "name"),
        UniqueConstraint("step_id", "kept_as", name="uq_store_artifact_kept_as"),
    )

    @property
    def is_log(self) -> bool:
        return self.size_bytes == 0
