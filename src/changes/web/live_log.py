"""One log that is printed, followed by many: its new lines as they are drawn.

All who follow it hear of news at the same moment and stand at the same place. So one look at the database
and one drawing are for all of them.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import OperationalError

from changes.results import log_following, logs
from changes.results.log_following import Newest, Writer
from changes.results.log_reading import Line
from changes.web import log_lines, sse
from changes.web.log_lines import News, Place
from changes.web.pages import drawing, links, log_rows
from changes.web.pages.log_rows import Manner

# So long the first who asks waits for the others.
GATHER_S = 0.002
# The last lines that were complete tell what colour goes on.
BEFORE_MAX = 20


@dataclass(frozen=True)
class Told:
    """`event` is what each of them is sent, put together once; `place` is where the next lines begin."""

    event: bytes
    place: Place
    before: tuple[Line, ...]


@dataclass
class FollowedLogs:
    """Of one process."""

    pool: Any
    looks: dict[tuple[UUID, Place], asyncio.Task[Told | None]] = field(default_factory=dict)

    async def since(self, source_id: UUID, place: Place, before: tuple[Line, ...]) -> Told | None:
        """Whoever comes before the database is asked shares the answer: it has all that he heard of."""
        key = (source_id, place)
        look = self.looks.get(key)
        if look is None:
            look = asyncio.create_task(self._look(key, before))
            self.looks[key] = look
        return await asyncio.shield(look)

    async def _look(self, key: tuple[UUID, Place], before: tuple[Line, ...]) -> Told | None:
        await asyncio.sleep(GATHER_S)
        del self.looks[key]
        source_id, place = key
        async with self.pool.connection() as connection:
            newest = await log_following.newest(connection, source_id, place.offset)
            if newest and newest.start > place.offset and newest.newlines_before is None:
                # Of an older server, which did not count: all is read, to count it.
                pieces = await logs.next_bytes(connection, source_id, place.offset)
                newest = Newest(place.offset, b"".join(pieces))
            if newest is None or newest.start + len(newest.data) <= place.offset:
                return None
            writer = await log_following.writer(connection, source_id)
        return told(source_id, log_lines.read_on(place, newest), writer, before)


def told(source_id: UUID, news: News, writer: Writer, before: tuple[Line, ...]) -> Told:
    components: Any = drawing.templates.env.globals["ui"]
    html = ""
    if news.lines:
        first, last = news.lines[0].number, news.lines[-1].number
        manner = Manner(writer.commands, writer.began_ms)
        rows = log_rows.rows([*before, *news.lines], first, last, manner)
        html = str(components.log_rows(rows, links.log(source_id)))
    complete = [*before, *(line for line in news.lines if not line.is_open)]
    data = {"html": html, "offset": news.end.offset, "line": news.end.line, "total": news.total}
    return Told(sse.event("log", data), news.end, tuple(complete[-BEFORE_MAX:]))


@dataclass
class FollowedLog:
    """By one reader."""

    logs: FollowedLogs
    source_id: UUID
    place: Place
    is_behind: bool = False
    before: tuple[Line, ...] = ()

    @property
    def topic(self) -> str:
        return f"log:{self.source_id.hex}"

    async def news(self) -> bytes:
        """The lines since the last time, drawn; empty when there are none."""
        try:
            found = await self.logs.since(self.source_id, self.place, self.before)
        except OperationalError:
            # The database is away; the next beat looks again.
            self.is_behind = True
            return b""
        self.is_behind = False
        if found is None:
            return b""
        self.place, self.before = found.place, found.before
        return found.event
