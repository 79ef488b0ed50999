"""The process that serves pages: what it asks of the system it runs on."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from tests.faults import namespaces
from tests.faults.namespaces import SERVER_ADDRESS, Cable

from changes.app import web

WITHIN_S = 300.0
ESTABLISHED, KEPT_ALIVE = "01", "02"
PART_OF_AN_UPLOAD = b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nthe beginning"
LIMIT = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"


def test_more_pages_may_be_open_than_a_system_allows_at_first() -> None:
    program = f"from changes.app import web; web.allow_many_connections(); {LIMIT}"

    told = subprocess.run(
        ["sh", "-c", 'ulimit -Sn 256; exec "$0" -c "$1"', sys.executable, program],
        check=True,
        capture_output=True,
        text=True,
    )

    assert int(told.stdout) > 256


# --- lines that die ------------------------------------------------------------------------


@dataclass
class Serving:
    """The server as it runs, with an application that only takes uploads."""

    port: int = 0
    began: threading.Event = field(default_factory=threading.Event)
    was_let_go: threading.Event = field(default_factory=threading.Event)

    def application(self) -> FastAPI:
        app = FastAPI()

        @app.put("/")
        async def take(request: Request) -> Response:
            try:
                async for _ in request.stream():
                    self.began.set()
            except ClientDisconnect:
                self.was_let_go.set()
            return Response()

        return app


class Watched(web.Server):
    """Says when all of its start is done."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config, app)
        self.is_ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()


@contextmanager
def serving(
    host: str = "127.0.0.1", place: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[Serving]:
    found = Serving()
    app = found.application()
    server = Watched(uvicorn.Config(app, host=host, port=0, log_config=None, lifespan="off"), app)

    def run() -> None:
        with place():
            server.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert server.is_ready.wait(WITHIN_S)
        found.port = server.servers[0].sockets[0].getsockname()[1]
        yield found
    finally:
        server.should_exit = True
        thread.join()


def test_the_system_asks_whether_whoever_is_silent_is_still_there() -> None:
    with serving() as server, closing(socket.create_connection(("127.0.0.1", server.port))) as line:
        line.sendall(PART_OF_AN_UPLOAD)
        assert server.began.wait(WITHIN_S)

        timers = [row[5] for row in connections_of(server.port) if row[3] == ESTABLISHED]

        assert [timer.partition(":")[0] for timer in timers] == [KEPT_ALIVE]


def connections_of(port: int) -> list[list[str]]:
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[1].endswith(f":{port:04X}")]


@pytest.mark.long
def test_an_upload_on_a_line_that_was_cut_without_a_word_is_let_go() -> None:
    """Where there are no network namespaces the line is closed: it cannot be cut."""
    if not namespaces.are_allowed():
        with serving() as server:
            with closing(socket.create_connection(("127.0.0.1", server.port))) as line:
                line.sendall(PART_OF_AN_UPLOAD)
                assert server.began.wait(WITHIN_S)
            assert server.was_let_go.wait(WITHIN_S)
        return
    with (
        closing(Cable()) as cable,
        serving(SERVER_ADDRESS, lambda: cable.inside(cable.server_side)) as server,
    ):
        with cable.inside(cable.agent_side):
            line = socket.create_connection((SERVER_ADDRESS, server.port))
        with closing(line):
            line.sendall(PART_OF_AN_UPLOAD)
            assert server.began.wait(WITHIN_S)

            cable.drop()

            assert server.was_let_go.wait(WITHIN_S)
