"""Cards: what a step has to tell beside its log, in Markdown."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified
from changes.builds.models import JobStep


class Card(Identified, Base):
    """One of a build, known by its key: whoever says the same key again replaces it or adds to it."""

    __tablename__ = "card"

    build_id: Mapped[UUID] = mapped_column(ForeignKey("build.id", ondelete="CASCADE"))
    # Who said it last.
    step_id: Mapped[UUID] = mapped_column(ForeignKey("job_step.id", ondelete="CASCADE"), index=True)
    key: Mapped[str]
    # A word of cards.STYLES.
    style: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    # Markdown, as it came.
    text: Mapped[str]
    # How often it was said or added to.
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    date_modified: Mapped[datetime] = mapped_column(default=clock.now)

    step: Mapped[JobStep] = relationship(lazy="raise_on_sql", viewonly=True)

    __table_args__ = (UniqueConstraint("build_id", "key"),)
