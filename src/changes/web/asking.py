"""Which agent asks, and what it is offered: a request for steps is held until there are some."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

from fastapi import Request
from psycopg import AsyncConnection

from changes.base.errors import NotSignedIn
from changes.base.process import settings
from changes.builds import dispatch, lost_answers, nodes
from changes.builds.dispatch import Taken
from changes.builds.nodes import KnownNode
from changes.protocol import HOLD_MAX_S, Ask, StepOffer
from changes.web import auth, waiting_room

STEPS_AT_ONCE = 64
# By how much of the time a request is held at most this differs between agents.
SPREAD = 0.1
# What was begun before may take so long to be over.
OVERTAKEN_S = 2.0


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
    async with known(request) as (connection, node):
        taken = await first_look(request, connection, node, asked) if asked.held is None else []
    if taken:
        return [each.offer for each in taken]
    if asked.held is None:
        return await new_offers(request, node, asked.slots, asked.wait_s)
    await end_earlier_questions(request, node.id)
    first_s = min(asked.wait_s, OVERTAKEN_S)
    for wait_s in (first_s, asked.wait_s - first_s):
        # Twice, since an earlier question may have been about to take a step when we looked.
        async with known(request) as (connection, node):
            lost = await lost_answers.offer_again(connection, node.id, asked.held)
        found = lost or await new_offers(request, node, asked.slots, wait_s)
        if found:
            return found
    return []


async def end_earlier_questions(request: Request, node_id: UUID) -> None:
    """One that this agent gave up may be held for long yet, on a line that is dead, here or by another
    process: what it took would be lost. Whoever hears this has let go of all there were.
    """
    bell = request.app.state.bell
    with bell.listening(f"leave:{node_id.hex}") as ring:
        async with request.app.state.pool.connection() as connection:
            await lost_answers.tell_to_leave(connection, node_id)
        await bell.wait(ring, OVERTAKEN_S)


async def new_offers(request: Request, node: KnownNode, slots: int, wait_s: float) -> list[StepOffer]:
    """Until there are steps, the time is over, or the agent stops."""
    bell, room = request.app.state.bell, request.app.state.room
    until = time.monotonic() + hold_s(node, wait_s)
    taken: list[Taken] = []
    called: waiting_room.Called | None = None
    # `left` is rung when it gives steps back because it stops, and when something is said about its
    # machine: it asks again then, if it is still there.
    with bell.listening(f"leave:{node.id.hex}") as left, hanging_up(request) as gone:
        while not taken and not left.done() and not bell.closed.is_set():
            with room.seat(node.offer, is_open=node.is_welcome) as seat:
                if gone.done():
                    room.hand_back(called, seat.called)
                    break  # whoever hung up must not be given a step
                if called is not None or room.is_news(node.id, node.offer):
                    taken = await look(request, node, slots)
                room.served(called, [each.needs for each in taken])
                left_s = until - time.monotonic()
                if taken or left_s <= 0:
                    room.served(seat.called, [each.needs for each in taken], has_looked=False)
                    break
                await asyncio.wait(
                    {seat.ring, left, gone}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                called = seat.called
        else:
            room.hand_back(called)
            room.forget_look(node.id)
    return [each.offer for each in taken]


@contextmanager
def hanging_up(request: Request) -> Iterator[asyncio.Task[Any]]:
    """Done when whoever asks is not there any more: all of the question has been read."""
    gone = asyncio.ensure_future(request.receive())
    try:
        yield gone
    finally:
        gone.cancel()


def hold_s(node: KnownNode, wait_s: float) -> float:
    """A little less for some than for others: a thousand agents that were let go together, by a server
    that was started again, are not to come back together for ever.
    """
    return min(wait_s, HOLD_MAX_S) * (1 - SPREAD * (node.id.int % 1000) / 1000)


async def first_look(
    request: Request, connection: AsyncConnection[Any], node: KnownNode, asked: Ask
) -> list[Taken]:
    """With the connection that is at hand, unless it would have to wait for its turn with it. What arrives
    after this look is news to the next one.
    """
    bell, room = request.app.state.bell, request.app.state.room
    is_useful = node.is_welcome and room.is_news(node.id, node.offer) and not bell.closed.is_set()
    if not is_useful or room.turnstile.locked():
        return []
    async with room.turnstile:
        return await look_with(request, connection, node, asked.slots)


async def look(request: Request, node: KnownNode, slots: int) -> list[Taken]:
    if not node.is_welcome:
        return []
    async with request.app.state.room.turnstile, request.app.state.pool.connection() as connection:
        return await look_with(request, connection, node, slots)


async def look_with(
    request: Request, connection: AsyncConnection[Any], node: KnownNode, slots: int
) -> list[Taken]:
    room = request.app.state.room
    heard_before = room.heard
    with room.looking() as is_alone:
        taken = await dispatch.take_steps(
            connection,
            node_id=node.id,
            count=max(1, min(slots, STEPS_AT_ONCE)),
            silence_s=settings.get().node_silence_max_s,
            is_alone=is_alone,
        )
    room.note_look(node.id, node.offer, heard_before, found=bool(taken))
    return taken
