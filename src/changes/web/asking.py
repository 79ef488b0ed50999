"""Which agent asks, and what it is offered: a request for steps is held until there are some."""

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from fastapi import Request
from psycopg import AsyncConnection

from changes.base.errors import NotSignedIn
from changes.builds import dispatch, nodes
from changes.builds.nodes import KnownNode
from changes.protocol import HOLD_MAX_S, Ask, StepOffer
from changes.web import auth

STEPS_AT_ONCE = 64


@asynccontextmanager
async def known(request: Request) -> AsyncIterator[tuple[AsyncConnection[Any], KnownNode]]:
    """A connection, and the agent that asks."""
    async with request.app.state.pool.connection() as connection:
        yield connection, await recognised(request, connection)


async def recognised(request: Request, connection: AsyncConnection[Any]) -> KnownNode:
    secret = auth.bearer(request)
    node = await nodes.recognise(connection, secret) if secret else None
    if node is None:
        raise NotSignedIn("This agent is not known here, or its key was revoked.")
    return node


async def offers_for(request: Request, asked: Ask) -> list[StepOffer]:
    """Subscribes before it looks, so that no ring is lost; one that leads to nothing is passed on."""
    bell = request.app.state.bell
    until = time.monotonic() + min(asked.wait_s, HOLD_MAX_S)
    count = max(1, min(asked.slots, STEPS_AT_ONCE))
    offers: list[StepOffer] = []
    is_rung = has_left = False
    try:
        while not offers and not has_left and not bell.closed.is_set():
            with bell.listening("steps") as ring, ExitStack() as stack:
                if await request.is_disconnected():
                    break  # whoever hung up must not be given a step
                async with known(request) as (connection, node):
                    # Rung when it gives steps back because it stops: it must not be given them again.
                    left = stack.enter_context(bell.listening(f"leave:{node.id.hex}"))
                    offers = await dispatch.take_steps(
                        connection, node_id=node.id, clusters=node.clusters, count=count
                    )
                if offers and ring.done():
                    bell.ring("steps", 1)  # this ring was meant for somebody who still waits
                if offers or time.monotonic() >= until:
                    break
                if not left.done():
                    await bell.wait(ring, until - time.monotonic())
                is_rung, has_left = ring.done(), left.done()
    finally:
        if is_rung and not offers:
            bell.ring("steps", 1)
    return offers
