"""Builds whose removal has begun."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base


class BuildRemoval(Base):
    """From now on it goes, part by part: nothing pins it any more, and who was stopped goes on with it."""

    __tablename__ = "build_removal"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"), primary_key=True)
    date_created: Mapped[datetime]
