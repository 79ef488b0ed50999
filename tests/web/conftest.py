"""Two servers to ask: `client` sees one rolled-back session, `live` a whole process with real commits."""

import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from sqlalchemy import QueuePool
from sqlalchemy.orm import Session
from starlette.exceptions import StarletteDeprecationWarning
from tests.conftest import copy_of_template
from tests.factories import a_build, a_token, as_caller, steps_of

from changes.app import server
from changes.base import db
from changes.base.db import Base, Database
from changes.base.settings import Settings
from changes.builds import nodes
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Status
from changes.people.rules import Scope

with warnings.catch_warnings():
    # It asks for the successor of httpx; the one that is locked here serves it as well.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from starlette.testclient import TestClient

DEADLINE_S = 200
API = "/api/0"


def open_client(app: FastAPI, portal: BlockingPortal | None = None) -> TestClient:
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.portal = portal
    return client


@pytest.fixture(scope="session", autouse=True)
def _plain_log() -> None:
    """Tracebacks with all local variables take seconds each."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )


@pytest.fixture(scope="session")
def app() -> FastAPI:
    return server.create_app()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """One event loop for all requests: a thread and a loop of its own take longer than most of them."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def client(session: Session, app: FastAPI, portal: BlockingPortal) -> TestClient:
    """Nobody in particular; for what needs neither NOTIFY nor the async pool."""
    return open_client(app, portal)


def with_scope(client: TestClient, session: Session, scope: Scope) -> TestClient:
    client.headers.update(as_caller(a_token(session, scope)))
    return client


@pytest.fixture
def admin(session: Session, app: FastAPI, portal: BlockingPortal) -> TestClient:
    return with_scope(open_client(app, portal), session, Scope.ADMIN)


@pytest.fixture
def writer(session: Session, app: FastAPI, portal: BlockingPortal) -> TestClient:
    return with_scope(open_client(app, portal), session, Scope.WRITE)


@pytest.fixture
def reader(session: Session, app: FastAPI, portal: BlockingPortal) -> TestClient:
    return with_scope(open_client(app, portal), session, Scope.READ)


@pytest.fixture
def together() -> Iterator[Callable[..., Future[Any]]]:
    """Runs calls beside the test; all have ended when the test ends."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit


def connections_in_use(database: Database) -> int:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def answered(answer: httpx.Response) -> httpx.Response:
    """Says what the test client's answers are, which it cannot say of itself."""
    return answer


@dataclass(frozen=True)
class Agent:
    """The far side of the agents' protocol, by hand."""

    http: TestClient
    headers: dict[str, str]
    node_id: str

    def post(self, where: str, message: dict[str, Any]) -> httpx.Response:
        return answered(self.http.post(f"{API}/agents/{where}", json=message, headers=self.headers))

    def next(self, *, wait_s: float = 0, slots: int = 1) -> list[dict[str, Any]]:
        answer = self.post("steps/next/", {"slots": slots, "wait_s": wait_s})
        assert answer.status_code == 200, answer.text
        offers: list[dict[str, Any]] = answer.json()
        return offers

    def report(self, step_id: str, status: str, result: str | None = None, **more: object) -> httpx.Response:
        return self.post(f"steps/{step_id}/report/", {"status": status, "result": result, **more})

    def finish(self, offer: dict[str, Any], *, return_code: int = 0) -> httpx.Response:
        ended = [
            {"id": each["id"], "status": "finished", "return_code": return_code, "duration_ms": 5}
            for each in offer["commands"]
        ]
        result = "passed" if return_code == 0 else "failed"
        return self.report(offer["id"], "finished", result, commands=ended, duration_ms=9)

    def append(self, step_id: str, offset: int, data: bytes, name: str = "console") -> httpx.Response:
        where = f"{API}/agents/steps/{step_id}/logs/{name}/?offset={offset}"
        return answered(self.http.post(where, content=data, headers=self.headers))

    def put(self, step_id: str, name: str, data: bytes, sha256: str | None = None) -> httpx.Response:
        more = {"Changes-SHA256": sha256} if sha256 else {}
        where = f"{API}/agents/steps/{step_id}/artifacts/{name}"
        return answered(self.http.put(where, content=data, headers=self.headers | more))

    def patch(self, step_id: str) -> httpx.Response:
        return answered(self.http.get(f"{API}/agents/steps/{step_id}/patch/", headers=self.headers))

    def heartbeat(self, *step_ids: str, wait_s: float = 0) -> httpx.Response:
        return self.post("heartbeat/", {"steps": list(step_ids), "wait_s": wait_s})


@dataclass(frozen=True)
class Live:
    http: TestClient
    app: FastAPI
    database: Database
    admin: dict[str, str]

    def get(self, path: str, **query: Any) -> httpx.Response:
        return answered(self.http.get(f"{API}{path}", params=query, headers=self.admin))

    def post(self, path: str, **values: Any) -> httpx.Response:
        return answered(self.http.post(f"{API}{path}", json=values, headers=self.admin))

    def is_waited_for(self, topic: str) -> bool:
        return topic in self.app.state.bell.waiting

    def stop(self) -> None:
        """What SIGTERM does to requests that are held."""
        self.app.state.loop.call_soon_threadsafe(self.app.state.bell.close)

    def enrolment_token(self) -> str:
        with self.database.transaction() as session:
            return nodes.make_enrolment_token(session)

    def agent(self, name: str = "machine") -> Agent:
        message = {"token": self.enrolment_token(), "name": name, "slots": 1}
        answer = self.http.post(f"{API}/agents/enrol/", json=message)
        assert answer.status_code == 200, answer.text
        enrolled = answer.json()
        return Agent(self.http, as_caller(enrolled["token"]), enrolled["node_id"])

    def build(self, *, commands: tuple[str, ...] = ("true",), plans: int = 1) -> UUID:
        """Committed, with one waiting step per plan."""
        with self.database.transaction() as session:
            return a_build(session, commands=commands, plans=plans).id

    def status_of_step(self, step_id: str) -> Status:
        with self.database.transaction() as session:
            return session.get_one(JobStep, UUID(step_id)).status


@contextmanager
def running(database: Database) -> Iterator[tuple[TestClient, FastAPI]]:
    """A web process of one's own in this one: bell, pool and all."""
    db.database.set(database)
    app = server.create_app()
    with open_client(app) as http:
        yield http, app


@pytest.fixture(scope="module")
def server_of_module() -> Iterator[tuple[TestClient, FastAPI, Database]]:
    with copy_of_template() as url:
        database = Database(url, pool_size=8)
        with running(database) as (http, app):
            yield http, app, database
        database.close()


def an_administrator(database: Database) -> dict[str, str]:
    with database.transaction() as session:
        return as_caller(a_token(session, Scope.ADMIN))


@pytest.fixture
def live(server_of_module: tuple[TestClient, FastAPI, Database], settings: Settings) -> Iterator[Live]:
    """Shared by the tests of a file, and emptied after each: that is faster than a new database."""
    http, app, database = server_of_module
    db.database.set(database)
    yield Live(http, app, database, an_administrator(database))
    http.cookies.clear()
    tables = reversed(Base.metadata.sorted_tables)
    with database.transaction() as session:
        session.connection().exec_driver_sql("; ".join(f'delete from "{table.name}"' for table in tables))


@pytest.fixture
def stopping(database: Database) -> Iterator[Live]:
    """One that a test may stop."""
    with running(database) as (http, app):
        yield Live(http, app, database, an_administrator(database))


@pytest.fixture
def agent(live: Live) -> Agent:
    return live.agent()


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What every refusal looks like, whoever refuses."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    told: dict[str, Any] = answer.json()
    assert told["error"] == told["message"]
    assert told["error"].strip()
    assert isinstance(told["problems"], list)
    return told


def first_step(session: Session, build: Build) -> JobStep:
    return steps_of(session, build)[0]


def job_of(session: Session, build: Build) -> Job:
    return session.query(Job).filter(Job.build_id == build.id).order_by(Job.number).limit(1).one()
