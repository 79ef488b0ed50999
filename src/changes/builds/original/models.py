"""How schedulers and agents of the original are let in, and the machines they speak for."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.builds.models import Node


class KeyUse(IntEnum):
    """A scheduler takes steps and starts agents for them; an agent runs what a scheduler took."""

    ALLOCATE = 0
    AGENT = 1


class OriginalKey(Identified, Base):
    """What stands in the address of a server that the original's programs were given."""

    __tablename__ = "original_key"

    name: Mapped[str]
    use: Mapped[KeyUse] = mapped_column(Numbered(KeyUse))
    digest: Mapped[str] = mapped_column(unique=True)
    date_last_used: Mapped[datetime | None]
    date_revoked: Mapped[datetime | None]


class OriginalNode(Base):
    """By whose word a node works for us. Without a host it is the scheduler itself, for one cluster."""

    __tablename__ = "original_node"

    node_id: Mapped[UUID] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("original_key.id", ondelete="CASCADE"))
    cluster: Mapped[str | None]
    host: Mapped[str | None]

    node: Mapped[Node] = relationship()

    __table_args__ = (UniqueConstraint("key_id", "cluster", "host", postgresql_nulls_not_distinct=True),)
