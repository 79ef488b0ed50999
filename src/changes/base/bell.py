"""NOTIFY inside a process: one connection listens, everybody who waits here is woken.

Payloads are `<key>` or `<key> <count>`: the key says whom it concerns, the count how many
may be woken, so that one new step does not wake two hundred agents.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import psycopg
import structlog

# By this the database tells who listens, and since when.
APPLICATION_NAME = "changes bell"
RECONNECT_AFTER_S = 0.2
# Everybody looks by himself that often, should a ring ever get lost.
LOOK_EVERY_S = 5.0
EVERYBODY = 1_000_000

log = structlog.get_logger()


class Bell:
    def __init__(self, conninfo: str, channels: list[str]) -> None:
        self.conninfo = conninfo
        self.channels = channels
        self.waiting: dict[str, dict[asyncio.Future[None], None]] = defaultdict(dict)
        self.closed = asyncio.Event()

    @contextmanager
    def listening(self, *topics: str) -> Iterator[asyncio.Future[None]]:
        """Yields a future that a ring completes. Subscribe before looking, so none is lost."""
        ring: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in topics:
            self.waiting[topic][ring] = None
        try:
            yield ring
        except BaseException:
            # Cut off with a ring in hand: it was meant for somebody who still waits.
            for topic in topics:
                self.ring(topic, int(ring.done()))
            raise
        finally:
            for topic in topics:
                self.waiting[topic].pop(ring, None)
                if not self.waiting[topic]:
                    del self.waiting[topic]
            ring.cancel()

    async def wait(self, ring: asyncio.Future[None], timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, LOOK_EVERY_S)):
                await asyncio.shield(ring)

    def ring(self, topic: str, count: int = EVERYBODY) -> None:
        sleepers = self.waiting.get(topic)
        while sleepers and count > 0:
            ring = next(iter(sleepers))
            del sleepers[ring]
            if not ring.done():
                ring.set_result(None)
                count -= 1

    def ring_everybody(self) -> None:
        for topic in list(self.waiting):
            self.ring(topic)

    async def run(self) -> None:
        """Listens until cancelled; whoever waited while the database was away looks again."""
        is_away = False
        while not self.closed.is_set():
            try:
                async with await self.connect() as connection:
                    for channel in self.channels:
                        await connection.execute(f'listen "{channel}"'.encode())
                    is_away = False
                    self.ring_everybody()
                    async for notice in connection.notifies():
                        self.hear(notice)
            except psycopg.OperationalError as error:
                if not is_away:
                    log.warning("listening connection lost", error=str(error).strip())
                is_away = True
                await asyncio.sleep(RECONNECT_AFTER_S)

    async def connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        # A connection that only listens never writes: without keepalives it would not notice
        # for hours that the other side is gone.
        return await psycopg.AsyncConnection.connect(
            self.conninfo,
            autocommit=True,
            application_name=APPLICATION_NAME,
            connect_timeout=5,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )

    def hear(self, notice: psycopg.Notify) -> None:
        key, _, count = notice.payload.partition(" ")
        topic = f"{notice.channel}:{key}" if key else notice.channel
        self.ring(topic, int(count) if count.isdecimal() else EVERYBODY)

    def close(self) -> None:
        """Ends every held request: the server is about to stop."""
        self.closed.set()
        self.ring_everybody()


@asynccontextmanager
async def running(bell: Bell) -> AsyncIterator[Bell]:
    task = asyncio.create_task(bell.run())
    try:
        yield bell
    finally:
        bell.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
