"""The administrators' word, kept in memory and read anew when it rings: no page asks the database for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from psycopg import OperationalError

from changes.base import room
from changes.people import messages

# A ring is never lost for longer than this.
LOOK_EVERY_S = 60.0


def shown(request: Request) -> str:
    return kept_as(request, "banner")


def of_disk(request: Request) -> str:
    """Why nothing is handed out, for those who can do something about it."""
    return kept_as(request, "disk_word")


def kept_as(request: Request, name: str) -> str:
    app = request.scope.get("app")
    return str(getattr(app.state, name, "")) if app is not None else ""


@asynccontextmanager
async def kept(app: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(keep(app))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def keep(app: FastAPI) -> None:
    with app.state.bell.following(messages.CHANNEL) as follower:
        while True:
            # While the database is away the word stays; the bell rings when it is back.
            with suppress(OperationalError):
                async with app.state.pool.connection() as connection:
                    app.state.banner = await messages.in_words(connection)
                    app.state.disk_word = await room.in_one_sentence(connection)
            await follower.next(LOOK_EVERY_S)
