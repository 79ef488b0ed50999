"""A printed line until the pages that follow the log have it; and what a thousand open pages cost."""

import asyncio
import http.client
import json
import re
import resource
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import psutil
import psycopg

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median, p99
from bench.system import System, wait_until
from bench.wire import HOST, Caller

NS_PER_MS = 1_000_000
# Slower than the four drawings a second, so that each line is seen alone.
PAUSE_S = 0.3
START_WITHIN_S = 30
PAGES = 1000
KB = 1024
MOMENT = re.compile(r"now=(\d{16,})")
MOMENT_BYTES = re.compile(rb"now=(\d{16,})")
FOLLOWERS = 500
# Till then all of them are there.
OPEN_WITHIN_S = 8


def measure(*, quick: bool) -> Iterator[Figure]:
    count = 10 if quick else 60
    with system.running() as up, agents.real(up, 1):
        seen = lines_ms(up, count)
        yield Figure(
            "printed line -> at an open page",
            median(seen),
            "ms",
            count=len(seen),
            p99=p99(seen),
            limit=Limit("insert and NOTIFY", bare_ms(up, count)),
            goal=Goal("at most", 100),
        )
        yield followed_by_many(up, FOLLOWERS // 10 if quick else FOLLOWERS, count // 3)
        yield from open_pages(up, PAGES // 10 if quick else PAGES)


def lines_ms(up: System, count: int) -> list[float]:
    script = f'for n in $(seq {count}); do echo "now=$(date +%s%N)"; sleep {PAUSE_S}; done'
    project = projects.without_checkout(up, "printing", script)
    caller = up.caller()
    asked = caller.post("/api/0/builds/", project.build)[0]
    page = Page(up, source_of(caller, asked["id"]))
    wait_until(lambda: len(page.late_ms) >= count, START_WITHIN_S + 2 * count * PAUSE_S)
    page.close()
    caller.close()
    # What was printed before the page was opened says nothing.
    return page.late_ms[2:]


def followed_by_many(up: System, pages: int, count: int) -> Figure:
    """All in one thread of ours, which takes its part of the time."""
    many = Followers(up.port, up.token)
    pause_s = 2 * PAUSE_S
    script = f'for n in $(seq {count + 5}); do echo "now=$(date +%s%N)"; sleep {pause_s}; done'
    # The pages are opened while it waits.
    project = projects.without_checkout(up, "many", f"echo begins; sleep {OPEN_WITHIN_S}; {script}")
    with closing(up.caller()) as caller:
        asked = caller.post("/api/0/builds/", project.build)[0]
        seen = asyncio.run(many.follow(source_of(caller, asked["id"]), pages, count))
    return Figure(
        f"printed line -> at {pages} open pages",
        median(seen),
        "ms",
        count=len(seen),
        p99=p99(seen),
        goal=Goal("at most", 300),
    )


@dataclass
class Followers:
    """Pages that all follow one log."""

    port: int
    token: str
    late_ms: list[float] = field(default_factory=list)
    wanted: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, source_id: str, pages: int, lines: int) -> list[float]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.wanted = pages * lines
        opened = [await self._open(source_id) for _ in range(pages)]
        readers = [asyncio.create_task(self._read(reader)) for reader, _ in opened]
        await self.is_over.wait()
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.gather(*readers, return_exceptions=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return self.late_ms[: self.wanted]

    async def _open(self, source_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        asked = urlencode({"topic": "projects", "since": time.time(), "log": source_id})
        head = f"GET /live?{asked} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(64 * KB):
                now = time.time_ns()
                self.late_ms += [(now - int(each)) / NS_PER_MS for each in MOMENT_BYTES.findall(data)]
                if len(self.late_ms) >= self.wanted:
                    break
        self.is_over.set()


def source_of(caller: Caller, build_id: str) -> str:
    """As soon as something is printed."""
    found: list[str] = []

    def look() -> bool:
        for job in caller.get_json(f"/api/0/builds/{build_id}/")["jobs"]:
            found.extend(log["id"] for log in caller.get_json(f"/api/0/jobs/{job['id']}/")["logs"])
        return bool(found)

    wait_until(look, START_WITHIN_S, 0.01)
    return found[0]


@dataclass
class Page:
    """Follows a log as a page does, and notes how old each line is when it comes."""

    up: System
    source_id: str
    late_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        connection = http.client.HTTPConnection(HOST, self.up.port, timeout=60)
        asked = urlencode({"topic": "projects", "since": time.time(), "log": self.source_id})
        connection.request("GET", f"/live?{asked}", headers={"Authorization": f"Bearer {self.up.token}"})
        self._wire = connection.sock
        self._answer = connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # Being cut off in the middle of a chunk is how a page ends.
        with suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._answer:
                now = time.time_ns()
                if line.startswith(b'data: {"html"'):
                    html = json.loads(line[len("data: ") :])["html"]
                    self.late_ms += [(now - int(each)) / NS_PER_MS for each in MOMENT.findall(html)]

    def close(self) -> None:
        self._wire.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._answer.close()


def bare_ms(up: System, count: int) -> float:
    """What any design on this database has to do: store the line, and wake who listens."""
    taken = []
    with (
        psycopg.connect(up.database, autocommit=True) as writing,
        psycopg.connect(up.database, autocommit=True) as listening,
    ):
        writing.execute("create table if not exists bench_line (id bigserial, data bytea)")
        listening.execute("listen bench_line")
        for _ in range(count):
            began = time.perf_counter()
            writing.execute(
                "with kept as (insert into bench_line (data) values (%s) returning id)"
                " select pg_notify('bench_line', id::text) from kept",
                [b"a line"],
            )
            next(listening.notifies())
            taken.append(1000 * (time.perf_counter() - began))
    return median(taken)


def open_pages(up: System, count: int) -> Iterator[Figure]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    web = up.programs()["web"]
    caller = up.caller()
    with ExitStack() as pages:
        before_b, alone_ms = pss(web), healthy_ms(caller)
        for _ in range(count):
            pages.enter_context(an_open_page(up))
        grown_kb, beside_ms = (pss(web) - before_b) / KB / count, healthy_ms(caller)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    caller.close()
    yield Figure(f"memory for each of {count} open pages", grown_kb, "kB", goal=Goal("at most", 64))
    yield Figure(
        f"GET /healthz beside {count} open pages", beside_ms, "ms", limit=Limit("without them", alone_ms)
    )


def an_open_page(up: System) -> socket.socket:
    wire = socket.create_connection((HOST, up.port), timeout=START_WITHIN_S)
    head = f"GET /live?topic=projects HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {up.token}\r\n\r\n"
    wire.sendall(head.encode())
    if b" 200 " not in wire.recv(4 * KB):
        raise RuntimeError("the server took no more open pages")
    return wire


def pss(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)


def healthy_ms(caller: Caller) -> float:
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        caller.get("/healthz")
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)
