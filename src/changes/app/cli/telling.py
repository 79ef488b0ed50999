"""Tells a server of a build that runs here: its log while it grows, its files, how it ended."""

import json
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import urllib3

from changes.app.cli.output import tell
from changes.app.cli.server import Answer, Server
from changes.protocol import LOG_CHUNK_SURE_BYTES

AS_JSON = {"Content-Type": "application/json"}
AS_BYTES = {"Content-Type": "application/octet-stream"}
CONFLICT, GONE = 409, 410
LOOK_EVERY_S = 0.2
# Well within the time after which a server gives up a silent build.
ALIVE_EVERY_S = 60.0
PAUSE_S = 2.0
# How long the rest of a log may take to arrive after the command has ended.
REST_WITHIN_S = 120.0


@dataclass(frozen=True)
class Part:
    """One part of one build that the server knows by now."""

    server: Server
    build: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/builds/outside/steps/{self.build['step']['id']}"

    @property
    def is_over(self) -> bool:
        return bool(self.build["step"]["status"]["id"] == "finished")

    def report(self, **fields: object) -> Answer:
        body = json.dumps({name: value for name, value in fields.items() if value is not None})
        return self.server.send("POST", f"{self.path}/report/", body.encode(), AS_JSON)

    def append(self, name: str, offset: int, data: bytes) -> Answer:
        where = f"{self.path}/logs/{quote(name, safe='')}/"
        return self.server.send("POST", where, data, AS_BYTES, offset=offset)

    def put(self, name: str, path: Path) -> Answer:
        """Read bit by bit: how large it is does not matter here."""
        with path.open("rb") as file:
            headers = {**AS_BYTES, "Content-Length": str(os.fstat(file.fileno()).st_size)}
            return self.server.send("PUT", f"{self.path}/artifacts/{quote(name)}", file, headers)

    def append_all(self, name: str, chunks: Iterable[bytes]) -> Answer:
        """What is stored already, of an earlier report that broke off, is passed over by the server."""
        offset, answer = 0, Answer(200, b"")
        for data in chunks:
            answer = self.append(name, offset, data)
            if answer.is_refusal:
                return answer
            offset += len(data)
        return answer


def begin(server: Server, fields: dict[str, object]) -> Answer:
    body = json.dumps({name: value for name, value in fields.items() if value})
    return server.send("POST", "/builds/outside/", body.encode(), AS_JSON)


def chunks_of(file: BinaryIO) -> Iterable[bytes]:
    while data := file.read(LOG_CHUNK_SURE_BYTES):
        yield data


class Feed(threading.Thread):
    """Sends what is written to the spool, as it is written. A server that is away holds up nobody."""

    def __init__(self, part: Part, name: str, spool: BinaryIO) -> None:
        super().__init__(name="log", daemon=True)
        self.part, self.log_name, self.spool = part, name, spool
        self.size_bytes = self.offset = 0
        self.more, self.over = threading.Event(), threading.Event()
        self.ends_at = float("inf")
        self.is_refused = False
        self.heard_at = time.monotonic()

    def write(self, data: bytes) -> None:
        self.spool.write(data)
        self.spool.flush()
        self.size_bytes += len(data)
        self.more.set()

    def finish(self) -> None:
        """Returns when all has arrived, or will not."""
        self.ends_at = time.monotonic() + REST_WITHIN_S
        self.over.set()
        self.more.set()
        self.join()

    def run(self) -> None:
        while not self.is_refused:
            is_over = self.over.is_set()
            if self.offset < self.size_bytes:
                self.try_to(self.send)
            elif is_over:
                return
            elif time.monotonic() - self.heard_at > ALIVE_EVERY_S:
                self.try_to(self.say_alive)
            else:
                self.more.wait(LOOK_EVERY_S)
                self.more.clear()
            if time.monotonic() > self.ends_at:
                tell(f"changes: the log from byte {self.offset} on did not arrive")
                return

    def try_to(self, act: Any) -> None:
        try:
            answer: Answer = act()
        except urllib3.exceptions.HTTPError:
            self.over.wait(PAUSE_S)
            return
        self.heard_at = time.monotonic()
        if answer.status == CONFLICT:
            self.offset = int(answer.data["offset"])
        elif answer.is_refusal:
            self.is_refused = True
            tell(f"changes: nothing more is reported: {answer.error}")

    def send(self) -> Answer:
        wanted = min(LOG_CHUNK_SURE_BYTES, self.size_bytes - self.offset)
        data = os.pread(self.spool.fileno(), wanted, self.offset)
        answer = self.part.append(self.log_name, self.offset, data)
        if not answer.is_refusal:
            self.offset += len(data)
        return answer

    def say_alive(self) -> Answer:
        return self.part.report(status="in_progress")
