"""The web application: routes, error table, and what lives as long as the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from changes.base import db
from changes.base.bell import Bell, running
from changes.builds.lanes import STEPS_CHANNEL
from changes.web import access, banner, call, errors, health, live, openapi, proxies
from changes.web.api import (
    agent_files,
    agent_keeping,
    agents,
    builds,
    builds_again,
    collections,
    credentials,
    infra_failures,
    infrastructure,
    jobs,
    messages,
    original,
    original_keys,
    original_store,
    outside,
    people,
    plan_options,
    plans,
    project_secrets,
    projects,
    reproduce,
    waiting,
)
from changes.web.api import artifacts as artifact_api
from changes.web.api import authors as author_api
from changes.web.api import caches as cache_api
from changes.web.api import cards as card_api
from changes.web.api import changes as change_api
from changes.web.api import comments as comment_api
from changes.web.api import commits as commit_api
from changes.web.api import config as config_api
from changes.web.api import coverage as coverage_api
from changes.web.api import disk as disk_api
from changes.web.api import failures as failure_api
from changes.web.api import flaky as flaky_api
from changes.web.api import green as green_api
from changes.web.api import hooks as hook_api
from changes.web.api import log_errors as log_error_api
from changes.web.api import logs as log_api
from changes.web.api import nodes as node_api
from changes.web.api import origins as origin_api
from changes.web.api import project_tests as project_tests_api
from changes.web.api import repositories as repository_api
from changes.web.api import retention as retention_api
from changes.web.api import snapshots as snapshot_api
from changes.web.api import sources as source_api
from changes.web.api import statistics as statistics_api
from changes.web.api import targets as target_api
from changes.web.api import tasks as task_api
from changes.web.api import tests as test_api
from changes.web.api import triggers as trigger_api
from changes.web.live_log import FollowedLogs
from changes.web.pages import (
    account,
    artifact_bytes,
    build_actions,
    clusters,
    design,
    disk,
    drawing,
    home,
    infra,
    log_pages,
    message,
    new_project,
    node_actions,
    nodes,
    parts_again,
    plan_edit,
    plan_terms,
    project_settings,
    provider,
    queue,
    repositories,
    repository_credentials,
    search,
    sign_in,
    step_edit,
    steps,
    tasks,
)
from changes.web.pages import artifacts as artifacts_pages
from changes.web.pages import authors as authors_pages
from changes.web.pages import builds as builds_pages
from changes.web.pages import changes as changes_pages
from changes.web.pages import comments as comments_pages
from changes.web.pages import commits as commits_pages
from changes.web.pages import coverage as coverage_pages
from changes.web.pages import failures as failures_pages
from changes.web.pages import files as files_pages
from changes.web.pages import flaky as flaky_pages
from changes.web.pages import log_errors as log_errors_pages
from changes.web.pages import original_keys as original_pages
from changes.web.pages import origins as origin_pages
from changes.web.pages import plans as plans_pages
from changes.web.pages import project_secrets as secret_forms
from changes.web.pages import project_tests as project_tests_pages
from changes.web.pages import projects as projects_pages
from changes.web.pages import retention as retention_pages
from changes.web.pages import snapshots as snapshot_pages
from changes.web.pages import sources as sources_pages
from changes.web.pages import statistics as statistics_pages
from changes.web.pages import targets as target_pages
from changes.web.pages import test_history as test_pages
from changes.web.pages import tests as tests_pages
from changes.web.pages import tokens as tokens_pages
from changes.web.pages import triggers as triggers_pages
from changes.web.pages import users as users_pages
from changes.web.waiting_room import WaitingRoom

STATIC = Path(drawing.FOLDER) / "static"
API_PREFIX = "/api/0"
TOLD = ["build", "project", "node", "message", "repository", "change"]
CHANNELS = [STEPS_CHANNEL, "stop", "leave", "log", *TOLD]
ASYNC_CONNECTIONS = 8
LISTS = (home, projects_pages, builds_pages, steps, nodes, plans_pages, search, design, sign_in)
# `all` stands before the names of tests.
TESTS = (
    tests_pages,
    target_pages,
    project_tests_pages,
    origin_pages,
    test_pages,
    failures_pages,
    flaky_pages,
    log_errors_pages,
)
DETAILS = (log_pages, triggers_pages, statistics_pages, coverage_pages, *TESTS, commits_pages, authors_pages)
ACTIONS = (build_actions, parts_again, retention_pages, disk)
QUEUE = (queue, clusters, infra, tasks, node_actions, original_pages)
PEOPLE = (provider, account, users_pages, tokens_pages)
# They stand before the pages, because `new` is no project.
FORMS = (new_project, plan_edit, plan_terms, step_edit, project_settings, secret_forms, message)
KEPT = (snapshot_pages, artifacts_pages, artifact_bytes)
REPOSITORIES = (repositories, repository_credentials, files_pages)
CHANGES = (changes_pages, sources_pages, comments_pages)
RESOURCES = (
    agents,
    agent_files,
    agent_keeping,
    builds,
    builds_again,
    cache_api,
    card_api,
    collections,
    credentials,
    infra_failures,
    infrastructure,
    jobs,
    log_api,
    messages,
    original_keys,
    outside,
    people,
    plan_options,
    plans,
    project_secrets,
    projects,
    reproduce,
    retention_api,
    snapshot_api,
    config_api,
    hook_api,
    trigger_api,
    artifact_api,
    author_api,
    disk_api,
    change_api,
    comment_api,
    commit_api,
    coverage_api,
    failure_api,
    log_error_api,
    flaky_api,
    origin_api,
    source_api,
    statistics_api,
    green_api,
    repository_api,
    node_api,
    target_api,
    task_api,
    test_api,
    project_tests_api,
    waiting,
)
PAGES = (*FORMS, *KEPT, *REPOSITORIES, *CHANGES, *ACTIONS, *LISTS, *DETAILS, *QUEUE, *PEOPLE)


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
    app.router.routes.extend([*agents.short_ways(API_PREFIX), *builds.short_ways(API_PREFIX)])
    for resource in RESOURCES:
        app.include_router(resource.api, prefix=API_PREFIX)
    for resource in (original, original_store):
        app.include_router(resource.api)
    for part in (health, live, repository_api, *PAGES):
        app.include_router(part.pages, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    openapi.install(app)
    errors.install(app)
    call.install(app)
    app.add_middleware(access.Access)
    app.add_middleware(proxies.Proxies)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = db.database.get()
    bell = Bell(database.conninfo, CHANNELS)
    pool = database.async_pool(size=ASYNC_CONNECTIONS)
    app.state.bell, app.state.pool = bell, pool
    app.state.room = WaitingRoom()
    app.state.followed_logs = FollowedLogs(pool)
    bell.hearers[STEPS_CHANNEL] = app.state.room.hear
    app.state.loop = asyncio.get_running_loop()
    await pool.open()
    async with running(bell), banner.kept(app):
        yield
    await pool.close()
