"""The bare floor beside a running system: on the same PostgreSQL, with a table of its own."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from queue import SimpleQueue

from bench.system import ROOT, System, free_port, wait_until
from bench.wire import Caller

READY_WITHIN_S = 20


@dataclass(frozen=True)
class Floor:
    port: int
    process: subprocess.Popen[bytes]

    def caller(self) -> Caller:
        return Caller(self.port)


@contextmanager
def running(system: System) -> Iterator[Floor]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.floor_server", str(port), system.database], cwd=ROOT
    )
    try:
        wait_until(lambda: answers(port), READY_WITHIN_S)
        yield Floor(port, process)
    finally:
        # It has nothing to finish, and requests are held at it.
        process.kill()
        process.wait()


def start(port: int, conninfo: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "bench.floor_server", str(port), conninfo], cwd=ROOT)


def answers(port: int) -> bool:
    try:
        Caller(port).get("/")
    except OSError:
        return False
    return True


@contextmanager
def agent(floor: Floor, slots: int, *checkout: str) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words = [str(floor.port), str(slots), folder, *checkout]
        process = subprocess.Popen([sys.executable, "-m", "bench.floor_agent", *words], cwd=ROOT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


class Taker:
    """Holds a request at the floor and notes when each job arrives."""

    def __init__(self, floor: Floor) -> None:
        self.taken: SimpleQueue[float] = SimpleQueue()
        self.is_asking = threading.Event()
        self._caller = floor.caller()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            self.is_asking.set()
            try:
                job = self._caller.post("/next")["id"]
                moment = time.perf_counter()
                self.is_asking.clear()
                self.taken.put(moment)
                self._caller.post_json("/finish", job)
            except (OSError, HTTPException):
                return  # the floor has gone
