"""The few calls that speak plain SQL on an async connection, called from a test that is not async."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from psycopg import AsyncConnection

from changes.base.db import Database

Answer = TypeVar("Answer")


def asked(database: Database, ask: Callable[[AsyncConnection[Any]], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with await AsyncConnection.connect(database.conninfo, autocommit=True) as connection:
            return await ask(connection)

    return asyncio.run(run())
