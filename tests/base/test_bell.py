"""The bell: a NOTIFY wakes who waits for it, as many as it says, and nobody for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
import pytest
from structlog.testing import capture_logs

from changes.base import bell as bells
from changes.base import db
from changes.base.bell import Bell, running

Answer = TypeVar("Answer")
WITHIN_S = 200


@asynccontextmanager
async def listening_bell(database: db.Database) -> AsyncIterator[Bell]:
    """A bell that hears: its first ring, on connecting, has been heard."""
    bell = Bell(database.conninfo, ["steps", "build"])
    with bell.listening("steps") as ring:
        async with running(bell):
            await asyncio.wait_for(ring, WITHIN_S)
            yield bell


def notify(database: db.Database, channel: str, payload: str = "") -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("select pg_notify(%s, %s)", [channel, payload])


def done(act: Callable[[], Awaitable[Answer]]) -> Answer:
    async def within() -> Answer:
        return await asyncio.wait_for(act(), 2 * WITHIN_S)

    return asyncio.run(within())


async def woken(rings: list[asyncio.Future[None]], count: int) -> bool:
    """As many as are meant have been woken, and after what comes last no more."""
    for _ in range(WITHIN_S * 100):
        if sum(ring.done() for ring in rings) >= count:
            return sum(ring.done() for ring in rings) == count
        await asyncio.sleep(0.01)
    return False


def test_a_notification_wakes_who_waits_for_its_key(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with bell.listening("build:1") as mine, bell.listening("build:2") as other:
                await asyncio.to_thread(notify, database, "build", "1")
                await asyncio.wait_for(mine, WITHIN_S)
                assert not other.done()

    done(act)


def test_a_count_wakes_that_many_and_the_longest_waiting_first(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with (
                bell.listening("steps") as first,
                bell.listening("steps") as second,
                bell.listening("steps") as third,
            ):
                await asyncio.to_thread(notify, database, "steps", " 2")
                assert await woken([first, second, third], 2)
                assert not third.done()

    done(act)


def test_without_a_count_everybody_is_woken(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with bell.listening("steps") as first, bell.listening("steps") as second:
                await asyncio.to_thread(notify, database, "steps")
                assert await woken([first, second], 2)

    done(act)


def test_one_who_waits_for_two_things_is_woken_once() -> None:
    async def act() -> None:
        bell = Bell("", [])
        with bell.listening("log:1", "build") as both, bell.listening("build") as other:
            bell.ring("log:1")
            bell.ring("build", 1)
            assert both.done()
            assert other.done()
        assert not bell.waiting

    done(act)


@pytest.mark.parametrize("count", [0, 1])
def test_a_ring_in_the_hand_of_one_who_is_cut_off_goes_to_the_next(count: int) -> None:
    async def act() -> None:
        bell = Bell("", [])
        hasty = asyncio.create_task(wait_for_ever(bell))
        await asyncio.sleep(0)
        with bell.listening("steps") as patient:
            bell.ring("steps", count)
            assert not patient.done()
            hasty.cancel()
            await asyncio.wait([hasty])
            assert patient.done() == bool(count)

    done(act)


async def wait_for_ever(bell: Bell) -> None:
    with bell.listening("steps"):
        await asyncio.get_running_loop().create_future()


def test_waiting_ends_by_itself() -> None:
    async def act() -> None:
        bell = Bell("", [])
        with bell.listening("steps") as ring:
            await bell.wait(ring, 0.01)
            assert not ring.done()

    done(act)


def test_a_lost_connection_is_made_anew_and_everybody_looks_again(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with bell.listening("steps") as ring:
                await asyncio.to_thread(cut_off_listeners, database)
                await asyncio.wait_for(ring, WITHIN_S)
            with bell.listening("build:1") as ring:
                await asyncio.to_thread(notify, database, "build", "1")
                await asyncio.wait_for(ring, WITHIN_S)

    done(act)


def cut_off_listeners(database: db.Database) -> None:
    listeners = "application_name = 'changes bell' and datname = current_database()"
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where {listeners}".encode()
        )


class AwayThreeTimes(Bell):
    attempts = 0

    async def connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        self.attempts += 1
        if self.attempts == 3:
            self.close()
        raise psycopg.OperationalError("nobody there")


def test_a_database_that_is_away_is_complained_about_once() -> None:
    with capture_logs() as said:
        done(AwayThreeTimes("", []).run)

    assert [line["error"] for line in said] == ["nobody there"]


def test_closing_wakes_everybody(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with bell.listening("build:1") as ring:
                bell.close()
                await asyncio.wait_for(ring, WITHIN_S)

    done(act)


@pytest.mark.parametrize("payload", ["1 ²", "1 many", "1 -5"])
def test_a_count_that_is_none_wakes_everybody(database: db.Database, payload: str) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            with bell.listening("build:1") as first, bell.listening("build:1") as second:
                await asyncio.to_thread(notify, database, "build", payload)
                assert await woken([first, second], 2)

    done(act)


# --- following -----------------------------------------------------------------------------


def test_a_follower_learns_which_of_his_topics_rang_and_each_once(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            topics = ("build", "build:1", "build:2")
            with bell.following(*topics) as follower, bell.listening("build:3") as last:
                for key in ("1", "1", "3"):
                    await asyncio.to_thread(notify, database, "build", key)
                await asyncio.wait_for(last, WITHIN_S)
                assert set(await follower.next(WITHIN_S)) == {"build", "build:1"}
                # The ring of the channel follows that of the key.
                await follower.next(0.01)
                assert await follower.next(0.01) == []
            assert not bell.followers
            assert bell.follower_count == 0

    done(act)


def test_it_is_known_what_rang_since_a_moment(database: db.Database) -> None:
    async def act() -> None:
        async with listening_bell(database) as bell:
            since = bell.remembers_since
            with bell.listening("build:1") as ring:
                await asyncio.to_thread(notify, database, "build", "1")
                await asyncio.wait_for(ring, WITHIN_S)
            assert bell.has_rung("build:1", since)
            assert not bell.has_rung("build:2", since)
            assert not bell.has_rung("build:1", since + 3600)
            assert bell.has_rung("build:2", since - 1)

    done(act)


def test_while_nobody_listens_everything_may_have_rung() -> None:
    assert Bell("", []).has_rung("build:1", 1e12)


def test_what_rang_long_ago_is_forgotten_and_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "REMEMBERED_MAX", 1)
    bell = Bell("", [])
    bell.remembers_since = 0

    bell.remember("build:1")
    bell.remember("build:2")

    assert list(bell.rang_at) == ["build:2"]
    assert 0 < bell.remembers_since <= bell.rang_at["build:2"]
