"""A step that prints 100 MB: from the request until all is stored; read back, and looked through."""

import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import psutil
import psycopg
import re2

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System, wait_until

MB = 1_000_000
READ_BYTES = 1024 * 1024
LOOK_EVERY_S = 0.05
PACKED_WITHIN_S = 120
PARTS = 20


def measure(*, quick: bool) -> Iterator[Figure]:
    size, rounds = (20 * MB, 1) if quick else (100 * MB, 3)
    stored, read, bare, growth = [], [], [], []
    with system.running() as up, tempfile.TemporaryDirectory() as name, agents.real(up, 1):
        text = Path(name) / "text"
        write_log(text, size)
        project = projects.without_checkout(up, "log", f"cat {text}")
        small = projects.without_checkout(up, "small", "echo here")
        projects.build_to_the_end(up, small)
        for _ in range(rounds):
            with PeakMemory(up.programs()["web"]) as memory:
                began = time.perf_counter()
                built = projects.build_to_the_end(up, project)
                stored.append(size / MB / (time.perf_counter() - began))
                read.append(read_back(up, built["id"], text))
            growth.append(memory.growth_mb)
            bare.append(pipe_mb_per_s(text, Path(name) / "copy"))
        looks = list(packed_log(up, built["id"], text))
    what = Limit("pipe to file", median(bare))
    goal = Goal("at least", 40, 75)
    mb = size // MB
    yield Figure(f"log of {mb} MB, stored", median(stored), "MB/s", count=rounds, limit=what, goal=goal)
    yield Figure(f"log of {mb} MB, read back", median(read), "MB/s", count=rounds, limit=what)
    yield Figure("memory the web server grew by", max(growth), "MB", count=rounds, goal=Goal("at most", 50))
    yield from looks


def write_log(path: Path, size: int) -> None:
    """Lines as test runners print them: alike, and each with something of its own."""
    chance = random.Random(1)  # noqa: S311 - text to store, guards nothing
    block = "".join(
        f"2026-01-01 12:00:{n % 60:02d} INFO module_{n % 97}.test_{n} passed in {chance.random()} s\n"
        for n in range(10_000)
    ).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block[: size - file.tell()])


def read_back(up: System, build_id: str, text: Path) -> float:
    """Through the API, compared byte by byte with what was printed."""
    caller = up.caller()
    job = caller.get_json(f"/api/0/builds/{build_id}/")["jobs"][0]
    log = caller.get_json(f"/api/0/jobs/{job['id']}/")["logs"][0]
    began = time.perf_counter()
    content = caller.get(f"/api/0/jobs/{job['id']}/logs/{log['id']}/?raw=1&offset=0")
    elapsed_s = time.perf_counter() - began
    caller.close()
    if text.read_bytes() not in content:
        raise RuntimeError(f"{len(content)} bytes were stored and are not what was printed")
    return len(content) / MB / elapsed_s


def packed_log(up: System, build_id: str, text: Path) -> Iterator[Figure]:
    """Of the log as it is kept when its step is over: all of it, any part, and what stands in it."""
    with psycopg.connect(up.database, autocommit=True) as connection:
        loose = "select exists (select from log_source where not is_packed)"
        wait_until(lambda: connection.execute(loose).fetchone() == (False,), PACKED_WITHIN_S, LOOK_EVERY_S)
    with closing(up.caller()) as caller:
        job = caller.get_json(f"/api/0/builds/{build_id}/")["jobs"][0]
        log = caller.get_json(f"/api/0/jobs/{job['id']}/")["logs"][0]
        where = f"/api/0/jobs/{job['id']}/logs/{log['id']}/"
        lines = caller.get_json(f"{where}?tail=1")["lineCount"]
        yield Figure("the same packed, read back", read_back(up, build_id, text), "MB/s")
        places = [1 + number * (lines // PARTS) for number in range(PARTS)]
        parts = [timed_ms(partial(caller.get, f"{where}?lines={at}-{at + 99}")) for at in places]
        yield Figure("any 100 lines of it", median(parts), "ms", p99=max(parts), goal=Goal("at most", 50))
        asked = urlencode({"q": r"passed in (0\.5\d+7|nothing)9 s never$", "regex": 1})
        search = median([timed_ms(partial(caller.get, f"{where}search/?{asked}")) for _ in range(3)])
        bare = Limit("RE2 over it in memory", bare_search_ms(text))
        what = f"regular expression over its {lines:,} lines"
        yield Figure(what, search, "ms", limit=bare, goal=Goal("at most", 3000))


def timed_ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def bare_search_ms(text: Path) -> float:
    content, pattern = text.read_bytes(), re2.compile(rb"passed in (0\.5\d+7|nothing)9 s never")
    return timed_ms(lambda: pattern.search(content))


def pipe_mb_per_s(text: Path, copy: Path) -> float:
    """From a child through a pipe into a file that is forced to disk, which every store has to do."""
    began = time.perf_counter()
    with subprocess.Popen(["cat", text], stdout=subprocess.PIPE) as child, copy.open("wb") as file:
        if child.stdout is None:
            raise RuntimeError("cat has no output")
        while piece := os.read(child.stdout.fileno(), READ_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return text.stat().st_size / MB / (time.perf_counter() - began)


class PeakMemory:
    """The most a process held while the block ran, above what it held before."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.growth_mb = 0.0

    def __enter__(self) -> Self:
        self._before = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(LOOK_EVERY_S):
            grown = self._process.memory_info().rss - self._before
            self.growth_mb = max(self.growth_mb, grown / MB)
