"""What the queue remembers: lanes of steps that are alike, whose turn it is, and limits with a name."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base, Identified, Numbered
from changes.builds.rules import Priority


class Turn(Base):
    """Who got how much already: of one class of steps, of a project in it, or of a person in that.

    Times are virtual: seconds of work, divided by the weight of whoever got them. The smallest comes
    next. `clock` is where those below have got to, so that nobody saves up turns while he is away.
    """

    __tablename__ = "turn"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    virtual_time: Mapped[float] = mapped_column(default=0, server_default="0")
    clock: Mapped[float] = mapped_column(default=0, server_default="0")

    # Written at every hand-out: free room keeps the new version in the same page.
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)


class Lane(Base):
    """Steps of one project and person that need the same of a machine; they wait in one row.

    What a lane is never changes: its id is made of all it says (lanes.py).
    """

    __tablename__ = "lane"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    priority: Mapped[Priority] = mapped_column(Numbered(Priority))
    is_automatic: Mapped[bool]
    author_id: Mapped[UUID | None]
    cluster: Mapped[str | None]
    labels: Mapped[dict[str, Any]]
    cpus: Mapped[int]
    memory_mb: Mapped[int]
    concurrency_group: Mapped[str | None]
    class_turn_id: Mapped[UUID]
    project_turn_id: Mapped[UUID]
    person_turn_id: Mapped[UUID]
    # How long its steps run as a rule, and how much that varies; None = none has ended yet.
    typical_s: Mapped[float | None]
    deviation_s: Mapped[float | None]
    # The machine that gives itself to nobody else until the first step here, too large for what is
    # free on any, fits into it; and how long this holds.
    reserved_node_id: Mapped[UUID | None]
    reserved_until: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_lane_project_id", "project_id"),
        Index(
            "ix_lane_concurrency_group",
            "concurrency_group",
            postgresql_where="concurrency_group IS NOT NULL",
        ),
    )


class BusyLane(Base):
    """A lane at which hand-outs look. Of thousands few have anything that waits, and to find those costs more
    than to choose among them.

    Whoever enters a lane that is not here adds it, and waits for nobody who does the same: a lane may be
    here twice. It is taken out (tending.py) when nothing has waited in it for a while.
    """

    __tablename__ = "busy_lane"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    lane_id: Mapped[UUID]
    # When it was seen that nothing waits there any more; whoever enters it then adds it anew.
    date_quiet: Mapped[datetime | None]

    __table_args__ = (Index("ix_busy_lane_lane_id", "lane_id"),)


class ConcurrencyGroup(Identified, Base):
    """How many steps of plans that name this group may run at a time; a group without a row has no limit."""

    __tablename__ = "concurrency_group"

    name: Mapped[str] = mapped_column(unique=True)
    limit: Mapped[int]
