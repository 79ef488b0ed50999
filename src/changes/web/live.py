"""What changed, told to pages that are open: `GET /live?topic=build:<id>&topic=projects`.

An event says only what changed; the page then asks for its own address again, so there is one way to
draw it. The lines of one log are the exception: they are sent as they are drawn, from an offset on.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from changes.base.bell import Bell, Follower
from changes.base.errors import Invalid, Unavailable
from changes.people.rules import Scope
from changes.web import call, sse
from changes.web.live_log import FollowedLog, FollowedLogs
from changes.web.log_lines import Place
from changes.web.params import Parameters, TextList, parameters

pages = APIRouter()
ONE = re.compile(r"(?:build|project|node|log|repository|change):[0-9a-f]{32}")
# The topic of all of a kind, by the name pages use.
ALL = {"projects": "project", "nodes": "node", "repositories": "repository", "changes": "change"}
TOPICS_MAX = 20
FOLLOWERS_MAX = 5000
EVENTS_EVERY_S = 0.25
HEARTBEAT_S = 15.0
# Then the browser asks again, and whoever was signed out meanwhile is turned away.
LIFETIME_S = 900.0
# A page says when it was drawn. What changed shortly before may be missing in it: its questions were
# asked earlier, and clocks of two machines differ.
SLACK_S = 10.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}


class Asked(Parameters):
    """`since` is when the page was drawn, in seconds since 1970; `log` is to be followed from `offset`,
    where the line with the number `line` begins.
    """

    topic: TextList = []
    since: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    log: UUID | None = None
    offset: Annotated[int, Field(ge=0, lt=2**63)] = 0
    line: Annotated[int, Field(ge=1, lt=2**53)] = 1


@pages.get("/live")
def listen(request: Request, asked: Annotated[Asked, parameters(Asked)]) -> Response:
    named = topics(asked.topic)
    with call.begin(request, Scope.READ):
        pass
    bell: Bell = request.app.state.bell
    if bell.follower_count >= FOLLOWERS_MAX:
        raise Unavailable("Too many pages are open here; this one will ask again.")
    # How long the answer takes says nothing about us.
    request.state.held = True
    told = events(bell, request.app.state.followed_logs, named, asked)
    return StreamingResponse(told, media_type="text/event-stream", headers=HEADERS)


def topics(named: list[str]) -> dict[str, str]:
    """Topics of the bell, and the names under which pages ask for them."""
    if len(named) > TOPICS_MAX:
        raise Invalid(f"A page follows at most {TOPICS_MAX} topics.", ["topic"])
    for name in named:
        if name not in ALL and not ONE.fullmatch(name):
            raise Invalid(
                "A topic is build:<id>, project:<id>, node:<id>, log:<id>, projects or nodes.", ["topic"]
            )
    return {ALL.get(name, name): name for name in named}


async def events(bell: Bell, logs: FollowedLogs, named: dict[str, str], asked: Asked) -> AsyncIterator[bytes]:
    """At most four times a second, and a word now and then so that both sides know of each other."""
    followed = FollowedLog(logs, asked.log, Place(asked.offset, asked.line)) if asked.log else None
    log_topics = [followed.topic] if followed else []
    with bell.following(*named, *log_topics) as follower:
        for topic in (*named, *log_topics):
            if topic in log_topics or bell.has_rung(topic, asked.since - SLACK_S):
                follower.hear(topic)
        yield sse.BEAT
        async for rung in rings(bell, follower):
            news = b""
            if followed and (followed.topic in rung or followed.is_behind):
                news = await followed.news()
            changed = [named[topic] for topic in rung if topic in named]
            # In one piece, as hundreds may follow the same log.
            yield (news + sse.event("changed", changed) if changed else news) or sse.BEAT


async def rings(bell: Bell, follower: Follower) -> AsyncIterator[list[str]]:
    loop = asyncio.get_running_loop()
    # Not all at the same moment, when all began together after a restart.
    ends_at = loop.time() + LIFETIME_S * random.uniform(0.8, 1)  # noqa: S311 - spreads load, guards nothing
    while not bell.closed.is_set() and loop.time() < ends_at:
        rung = await follower.next(HEARTBEAT_S)
        if bell.closed.is_set():
            return
        yield rung
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENTS_EVERY_S):
                await bell.closed.wait()
