"""The smallest coordinator of our shape: ASGI, a queue in PostgreSQL, NOTIFY, a held request.

No accounts, no models, no rules, no log: what is left is the price of the design itself.
Run as `python -m bench.floor_server PORT CONNINFO`.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import psycopg
import uvicorn
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HOLD_S = 20
TABLE = """
create table if not exists floor_job (id bigserial primary key, state smallint not null default 0);
create index if not exists floor_job_waiting on floor_job (id) where state = 0;
"""
TRIGGER = (
    "with made as (insert into floor_job default values returning id) select pg_notify('floor', '') from made"
)
TAKE = """
update floor_job set state = 1
where id = (select id from floor_job where state = 0 order by id limit 1 for update skip locked)
returning id
"""
LIST = """
select build.id, build.number, build.label, build.target, build.message, build.tags, build.status,
       build.result, build.date_created, build.date_finished, project.slug, project.name as project_name,
       source.revision_sha, revision.message as revision_message, author.name as author_name
from build join project on project.id = build.project_id
join source on source.id = build.source_id
join revision on revision.repository_id = source.repository_id and revision.sha = source.revision_sha
left join author on author.id = build.author_id
order by build.id desc limit 25
"""
sleeping: deque[asyncio.Future[None]] = deque()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.pool = AsyncConnectionPool(
        sys.argv[2], min_size=8, max_size=8, open=False, kwargs={"autocommit": True}
    )
    await app.state.pool.open()
    async with app.state.pool.connection() as connection:
        await connection.execute(TABLE)
    listening = asyncio.create_task(listen())
    yield
    listening.cancel()
    await app.state.pool.close()


async def listen() -> None:
    async with await psycopg.AsyncConnection.connect(sys.argv[2], autocommit=True) as connection:
        await connection.execute("listen floor")
        async for _ in connection.notifies():
            wake_one()


def wake_one() -> None:
    while sleeping:
        ring = sleeping.popleft()
        if not ring.done():
            ring.set_result(None)
            return


def pass_on(ring: asyncio.Future[None]) -> None:
    """Whoever needs no waking any more must not keep a ring from those who do."""
    if ring.done():
        wake_one()
    ring.cancel()


async def trigger(request: Request) -> Response:
    async with request.app.state.pool.connection() as connection:
        await connection.execute(TRIGGER)
    return Response(b"{}")


async def take(request: Request) -> Response:
    await request.body()
    while True:
        ring: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeping.append(ring)
        if await request.is_disconnected():
            pass_on(ring)
            return Response(b"{}")
        async with request.app.state.pool.connection() as connection:
            row = await (await connection.execute(TAKE)).fetchone()
        if row is not None:
            pass_on(ring)
            return Response(msgspec.json.encode({"id": row[0]}))
        with suppress(TimeoutError):
            await asyncio.wait_for(ring, HOLD_S)


async def finish(request: Request) -> Response:
    job = int(await request.body())
    async with request.app.state.pool.connection() as connection:
        await connection.execute("update floor_job set state = 2 where id = %s", [job])
    return Response(b"{}")


async def show_builds(request: Request) -> Response:
    async with (
        request.app.state.pool.connection() as connection,
        connection.cursor(row_factory=dict_row) as c,
    ):
        await c.execute(LIST)
        return Response(msgspec.json.encode(await c.fetchall()), media_type="application/json")


async def say_up(_request: Request) -> Response:
    return Response(b"{}")


ROUTES = [
    Route("/", say_up),
    Route("/trigger", trigger, methods=["POST"]),
    Route("/next", take, methods=["POST"]),
    Route("/finish", finish, methods=["POST"]),
    Route("/builds", show_builds),
]

if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=ROUTES, lifespan=lifespan),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
