"""Parts of long lists, bounded always: by page number as the original did, or by position.

A position is the id of a row: rows that come in meanwhile shift nothing, and the thousandth
part costs what the first one does. Ids are made in time order, so newest first is by id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")


@dataclass(frozen=True)
class Position:
    """The rows after (older than) this id, or before (newer than) it, or the newest of all."""

    after: UUID | None = None
    before: UUID | None = None


@dataclass(frozen=True)
class Page:
    """Which part of a list. One row more than is shown is fetched, to see whether there is a next."""

    number: int = 1
    size: int = 25
    position: Position | None = None

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


@dataclass(frozen=True)
class Part(Generic[Row]):
    """Rows of one page, and whether there are more on either side."""

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool = False


def part(session: Session, query: Select[Row], page: Page) -> Part[Row]:
    rows = session.execute(query.offset(page.offset).limit(page.size + 1)).unique().scalars().all()
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def newest_first(
    session: Session, query: Select[Row], key: InstrumentedAttribute[UUID], page: Page
) -> Part[Row]:
    """Always newest first, whichever way the position was walked to."""
    if page.position is None:
        return part(session, query.order_by(key.desc()), page)
    after, before = page.position.after, page.position.before
    if before is not None:
        found = query.where(key > before).order_by(key.asc())
    else:
        found = query.where(key < after) if after is not None else query
        found = found.order_by(key.desc())
    rows = list(session.execute(found.limit(page.size + 1)).unique().scalars())
    has_more, rows = len(rows) > page.size, rows[: page.size]
    if before is not None:
        return Part(rows[::-1], has_next=True, has_previous=has_more)
    return Part(rows, has_next=has_more, has_previous=after is not None)
