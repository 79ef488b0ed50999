"""NOTIFY inside a process: one connection listens, everybody who waits here is woken.

Payloads are `<key>` or `<key> <count>`: the key says whom it concerns, the count how many
may be woken, so that one new step does not wake two hundred agents. A topic is
`<channel>:<key>`; the channel alone is the topic of all its keys.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import psycopg
import structlog
from sqlalchemy.orm import Session

from changes.base import clock

# By this the database tells who listens, and since when.
APPLICATION_NAME = "changes bell"
RECONNECT_AFTER_S = 0.2
# Everybody looks by himself that often, should a ring ever get lost.
LOOK_EVERY_S = 5.0
EVERYBODY = 1_000_000
# How many topics are remembered with the moment they rang last; the oldest are forgotten.
REMEMBERED_MAX = 10_000

log = structlog.get_logger()


def tell(session: Session, *topics: str) -> None:
    """Rings when the transaction commits, each topic once, however often it was told."""
    calls, values = ringing(topics)
    session.connection().exec_driver_sql(f"select {', '.join(calls)}", tuple(values))


def ringing(topics: Sequence[str]) -> tuple[list[str], list[str]]:
    """What a statement selects that does so, and its values."""
    parts = [topic.partition(":") for topic in topics]
    return ["pg_notify(%s, %s)"] * len(parts), [part for channel, _, key in parts for part in (channel, key)]


class Follower:
    """Somebody who wants to know which of his topics rang, again and again."""

    def __init__(self) -> None:
        # A dict keeps the order; there is no ordered set.
        self._rung: dict[str, None] = {}
        self._woken = asyncio.Event()

    def hear(self, topic: str) -> None:
        self._rung[topic] = None
        self._woken.set()

    async def next(self, timeout_s: float) -> list[str]:
        """What rang since the last call; empty when nothing did for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        self._woken.clear()
        rung, self._rung = list(self._rung), {}
        return rung


class Bell:
    def __init__(self, conninfo: str, channels: list[str]) -> None:
        self.conninfo = conninfo
        self.channels = channels
        self.waiting: dict[str, dict[asyncio.Future[None], None]] = defaultdict(dict)
        self.followers: dict[str, set[Follower]] = {}
        self.follower_count = 0
        # Who takes the notices of a channel whole; "" when some may have been missed.
        self.hearers: dict[str, Callable[[str], None]] = {}
        self.closed = asyncio.Event()
        # When a topic rang last, oldest first; what rang before `remembers_since` is unknown.
        self.rang_at: dict[str, float] = {}
        self.remembers_since = math.inf

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

    @contextmanager
    def following(self, *topics: str) -> Iterator[Follower]:
        """For what is watched for hours: what rings between two looks is not lost."""
        follower = Follower()
        self.follower_count += 1
        for topic in topics:
            self.followers.setdefault(topic, set()).add(follower)
        try:
            yield follower
        finally:
            self.follower_count -= 1
            for topic in topics:
                self.followers[topic].discard(follower)
                if not self.followers[topic]:
                    del self.followers[topic]

    def has_rung(self, topic: str, since: float) -> bool:
        """Whether it rang at or after that moment (seconds since 1970); yes where nobody knows."""
        return since < self.remembers_since or self.rang_at.get(topic, 0) >= since

    async def wait(self, ring: asyncio.Future[None], timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, LOOK_EVERY_S)):
                await asyncio.shield(ring)

    def ring(self, topic: str, count: int = EVERYBODY) -> None:
        for follower in self.followers.get(topic, ()):
            follower.hear(topic)
        sleepers = self.waiting.get(topic)
        while sleepers and count > 0:
            ring = next(iter(sleepers))
            del sleepers[ring]
            if not ring.done():
                ring.set_result(None)
                count -= 1

    def ring_everybody(self) -> None:
        for topic in [*self.waiting, *self.followers]:
            self.ring(topic)
        for hear in self.hearers.values():
            hear("")

    async def run(self) -> None:
        """Listens until cancelled; whoever waited while the database was away looks again."""
        is_away = False
        while not self.closed.is_set():
            try:
                async with await self.connect() as connection:
                    for channel in self.channels:
                        await connection.execute(f'listen "{channel}"'.encode())
                    is_away = False
                    self.remembers_since = clock.now().timestamp()
                    self.ring_everybody()
                    async for notice in connection.notifies():
                        self.hear(notice)
            except psycopg.OperationalError as error:
                if not is_away:
                    log.warning("listening connection lost", error=str(error).strip())
                is_away, self.remembers_since = True, math.inf
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
        if notice.channel in self.hearers:
            self.hearers[notice.channel](notice.payload)
            return
        key, _, count = notice.payload.partition(" ")
        if key:
            self.remember(f"{notice.channel}:{key}")
            self.ring(f"{notice.channel}:{key}", int(count) if count.isdecimal() else EVERYBODY)
            count = ""
        self.remember(notice.channel)
        self.ring(notice.channel, int(count) if count.isdecimal() else EVERYBODY)

    def remember(self, topic: str) -> None:
        self.rang_at.pop(topic, None)
        self.rang_at[topic] = clock.now().timestamp()
        if len(self.rang_at) > REMEMBERED_MAX:
            forgotten = next(iter(self.rang_at))
            self.remembers_since = max(self.remembers_since, self.rang_at.pop(forgotten))

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
