"""The web application: routes, error table, and what lives as long as the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from changes.base import db
from changes.base.bell import Bell, running
from changes.web import access, call, errors, health, openapi
from changes.web.api import agents, builds, infrastructure, jobs, people, plans, projects
from changes.web.pages import builds as builds_pages
from changes.web.pages import design, drawing, home, nodes, search, sign_in, steps
from changes.web.pages import plans as plans_pages
from changes.web.pages import projects as projects_pages

STATIC = Path(drawing.FOLDER) / "static"
API_PREFIX = "/api/0"
CHANNELS = ["steps", "stop", "leave", "log", "build"]
ASYNC_CONNECTIONS = 8
PAGES = (home, projects_pages, builds_pages, steps, nodes, plans_pages, search, design, sign_in)


def create_app() -> FastAPI:
    app = FastAPI(
        title="Changes",
        version="0",
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=openapi.RESPONSES,
    )
    for resource in (agents, builds, infrastructure, jobs, people, plans, projects):
        app.include_router(resource.api, prefix=API_PREFIX)
    for part in (health, *PAGES):
        app.include_router(part.pages, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    openapi.install(app)
    errors.install(app)
    call.install(app)
    app.add_middleware(access.Access)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = db.database.get()
    bell = Bell(database.conninfo, CHANNELS)
    pool = database.async_pool(size=ASYNC_CONNECTIONS)
    app.state.bell, app.state.pool = bell, pool
    app.state.loop = asyncio.get_running_loop()
    await pool.open()
    async with running(bell):
        yield
    await pool.close()
