"""The agent as it lies on thousands of machines: how soon it asks for work, and what it takes while idle."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from bench.figures import Figure, Goal, Limit, median
from bench.system import clean_environment, stop, temporary_folder
from bench.wire import HOST
from changes.protocol import VERSION

ASKS_WITHIN_S = 60
STARTS, QUICK_STARTS = 9, 2
IDLE_S, QUICK_IDLE_S = 60, 3
PREFIX = "/api/0/agents/"
MS, MB, PERCENT = 1000, 1024 * 1024, 100
BARE = [sys.executable, "-c", "import msgspec, urllib3, logging, subprocess, threading"]


def measure(*, quick: bool) -> Iterator[Figure]:
    took, bare = [], []
    with temporary_folder() as folder, listening() as server:
        for number in range(QUICK_STARTS if quick else STARTS):
            began = time.perf_counter()
            subprocess.run(BARE, check=True)
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            with agent(server, folder / f"agent-{number}"):
                took.append(server.asked_at() - began)
        limit, goal = Limit("python and its modules", median(bare)), Goal("at most", 0.5)
        yield Figure("agent start -> asks for work", median(took), "s", len(took), max(took), limit, goal)
        with agent(server, folder / "idle") as process:
            server.asked_at()
            yield from while_idle(process, QUICK_IDLE_S if quick else IDLE_S)


def while_idle(process: psutil.Process, idle_s: float) -> Iterator[Figure]:
    # What a start costs is not what idling costs.
    time.sleep(1)
    before = used_s(process)
    time.sleep(idle_s)
    share = (used_s(process) - before) / idle_s * PERCENT
    yield Figure("idle agent, resident", process.memory_info().rss / MB, "MB", goal=Goal("at most", 60))
    yield Figure("idle agent, processor", share, "%", goal=Goal("at most", 0.1), remark=f"over {idle_s} s")


def used_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


@contextmanager
def agent(server: "Server", home: Path) -> Iterator[psutil.Process]:
    words = ["--server", server.url, "--home", str(home), "--name", "bench", "--enrol", "token"]
    server.forget()
    with (home.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changes.agent.main", *words], env=clean_environment(), stderr=log
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        stop(process)


class Server(ThreadingHTTPServer):
    """Takes every agent in and never has anything for it to do."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.is_over = threading.Event()
        self._asked = threading.Event()
        self._asked_at = 0.0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def note_asked(self) -> None:
        self._asked_at = time.perf_counter()
        self._asked.set()

    def forget(self) -> None:
        self._asked.clear()

    def asked_at(self) -> float:
        if not self._asked.wait(ASKS_WITHIN_S):
            raise TimeoutError(f"the agent did not ask for work within {ASKS_WITHIN_S} s")
        return self._asked_at


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        path = self.path.removeprefix(PREFIX)
        answers: dict[str, object] = {
            "enrol/": {"token": "key", "node_id": "node"},
            "hello/": {"name": "bench", "protocol": VERSION},
            "heartbeat/": {"stop": []},
        }
        if path == "steps/next/":
            self.server.note_asked()
        if "wait_s" in asked:
            self.server.is_over.wait(asked["wait_s"])
        content = json.dumps(answers.get(path, [])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def listening() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
