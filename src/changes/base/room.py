"""Room on disk: how much is free where bytes lie, and whether new work has to wait for more of it.

One row that everybody reads: whoever hands out work, whoever explains why it waits, and every page.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import BigInteger, SmallInteger, false
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from changes.base.db import Base

THE_ONE = 1
# What is freed must be more than a little before work goes on, or it would stop again at once.
GOES_ON_ABOVE = 1.1
GOES_ON_BELOW_QUOTA = 0.95
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
STEP = 1000


class DiskRoom(Base):
    """What was measured last."""

    __tablename__ = "disk_room"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    # No step is handed out.
    is_paused: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Why, for people; or what is about to happen. Empty while there is room enough.
    sentence: Mapped[str] = mapped_column(default="", server_default="")
    # Of all that was stored, in files and in the database.
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    database_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Of each disk that we can look at: where, how large, how much is free, and the limit.
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    date_measured: Mapped[datetime]
    date_paused: Mapped[datetime | None]


@dataclass(frozen=True)
class Place:
    """A disk, by a folder on it."""

    folder: str
    total_bytes: int
    free_bytes: int
    free_min_bytes: int


def why_to_pause(
    places: Sequence[Place], *, used_bytes: int, quota_bytes: int, was_paused: bool
) -> str | None:
    """Pure. A pause begins at the limit and ends only some way behind it."""
    for place in places:
        wanted = place.free_min_bytes * (GOES_ON_ABOVE if was_paused else 1)
        if place.free_min_bytes and place.free_bytes < wanted:
            free, least = in_words(place.free_bytes), in_words(place.free_min_bytes)
            until = f", it goes on at {in_words(int(wanted))}" if was_paused else ""
            return f"only {free} are free on the disk of {place.folder}, limit {least}{until}"
    most = quota_bytes * (GOES_ON_BELOW_QUOTA if was_paused else 1)
    if quota_bytes and used_bytes >= most:
        until = f", it goes on below {in_words(int(most))}" if was_paused else ""
        return f"{in_words(used_bytes)} are stored, limit {in_words(quota_bytes)}{until}"
    return None


def in_words(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= STEP and unit < len(UNITS) - 1:
        size, unit = size / STEP, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 else f"{size:.1f} {UNITS[unit]}"


def place_of(folder: Path, *, free_min_bytes: int, free_min_percent: int) -> Place:
    """The larger of both limits counts."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    disk = shutil.disk_usage(there)
    least = max(free_min_bytes, disk.total * free_min_percent // 100)
    return Place(str(folder), disk.total, disk.free, least)


def current(session: Session) -> DiskRoom | None:
    """None before anybody has measured."""
    return session.get(DiskRoom, THE_ONE)


async def in_one_sentence(connection: AsyncConnection[Any]) -> str:
    """Why nothing is handed out; empty while something is."""
    rows = await connection.execute("select sentence from disk_room where is_paused")
    row = await rows.fetchone()
    return "" if row is None else str(row[0])
