"""The original's build agent, as the server sees it: the public Go program, basic adapter, one step.

Its requests, their order, forms and repetitions are those of the program; commands really run. It keeps
the quirks that a server meets: `node` with its line break, one FIFO for all reports, chunks of logs that
arrive after the last report, exactly 200 from the store, unknown flags that end it at once. Whoever tests
may shorten its pauses by the environment; with FAKE_TRACE it writes each request into that file, with
FAKE_HANG it begins and does no more.
"""

import base64
import fnmatch
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

KNOWN = """
server jobstep_id adapter reporter reporter-destinations artifact-search-path artifacts-server
artifacts-bucket-id discard-artifactstore-errors artifact-destination save-snapshot no-snapshots
use-external-env upstream-monitor debug exit-result version showinfo max_pending_reports
num_publish_retries backoff_time_ms log_chunk_size sentry-dsn pre-launch post-launch s3-bucket dist
release arch compression bind-mounts executor executor-path memory cpus keep-container
"""
FLAGS = frozenset(KNOWN.split())
OK, NOT_FOUND, GONE, UNKNOWN_FLAG = 200, 404, 410, 2
CONFIG_TRIES, PUBLISH_TRIES = 8, 8
CHUNK_BYTES = 40960
TIMEOUT_S = 60
NOT_RUN = 255


def pause_s(name: str, usual: float) -> float:
    return float(os.environ.get(f"FAKE_{name}_S", usual))


class Wire:
    """Each request on a connection of its own, written down in the order in which it began."""

    def __init__(self) -> None:
        self.trace = os.environ.get("FAKE_TRACE")
        self.lock = threading.Lock()

    def send(self, method: str, url: str, body: bytes = b"", kind: str | None = None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        self.note(method, url, body, kind)
        try:
            connection.request(method, parts.path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def note(self, method: str, url: str, body: bytes, kind: str | None) -> None:
        if self.trace:
            seen = {"method": method, "url": url, "kind": kind, "body": body.decode("latin-1")}
            with self.lock, open(self.trace, "a") as file:  # noqa: PTH123 -- as small as it gets
                file.write(json.dumps(seen) + "\n")

    def post_json(self, url: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """Exactly 200, or it has failed."""
        status, body = self.send("POST", url, json.dumps(told).encode(), "application/json")
        if status != OK:
            raise StoreRefused(status, body)
        answer: dict[str, Any] = json.loads(body)
        return answer


class StoreRefused(Exception):
    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, json.loads(body)["error"] if body else "")
        self.status = status


# --- reports -----------------------------------------------------------------------------


def multipart(fields: Mapping[str, str]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex * 2
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + f"--{boundary}--\r\n").encode(), f"multipart/form-data; boundary={boundary}"


class Reporter:
    """One FIFO: what is refused is repeated, and holds up all that follows, until it is dropped."""

    def __init__(self, wire: Wire, server: str) -> None:
        self.wire, self.server = wire, server
        self.reports: queue.Queue[tuple[str, dict[str, str]] | None] = queue.Queue(64)
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def tell(self, path: str, **fields: str) -> None:
        self.reports.put((path, {name.rstrip("_"): value for name, value in fields.items()}))

    def work(self) -> None:
        while (report := self.reports.get()) is not None:
            self.publish(*report)

    def publish(self, path: str, fields: dict[str, str]) -> None:
        date = datetime.now(UTC)
        fields["date"] = f"{date:%Y-%m-%dT%H:%M:%S}.{date.microsecond // 100_000}Z"
        body, kind = multipart(fields)
        for _ in range(PUBLISH_TRIES):
            with suppress(OSError, http.client.HTTPException):
                status, _ = self.wire.send("POST", f"{self.server}{path}", body, kind)
                if OK <= status < 300:
                    return
            time.sleep(pause_s("BACKOFF", 1))

    def close(self) -> None:
        self.reports.put(None)
        self.thread.join()


# --- the artifact store --------------------------------------------------------------------


class ChunkedLog:
    """Created on its first data; one request at a time. A refusal is the end of it."""

    def __init__(self, wire: Wire, bucket: str, name: str) -> None:
        self.wire, self.bucket, self.name = wire, bucket, name
        self.pending, self.offset = bytearray(), 0
        self.url = ""
        self.is_closing, self.is_dead = False, False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def write(self, data: bytes) -> None:
        with self.changed:
            self.pending += data
            self.changed.notify_all()

    def work(self) -> None:
        while True:
            with self.changed:
                flush_s = pause_s("FLUSH", 4)
                self.changed.wait_for(lambda: self.is_closing or len(self.pending) >= CHUNK_BYTES, flush_s)
                data, is_last = bytes(self.pending), self.is_closing
                self.pending.clear()
            try:
                self.send(data)
            except StoreRefused as error:
                sys.stderr.write(f"{self.name}: {error}\n")
                return
            if is_last:
                return

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK_BYTES):
            part = data[start : start + CHUNK_BYTES]
            if not self.url:
                asked = {"chunked": True, "name": self.name}
                made = self.wire.post_json(f"{self.bucket}/artifacts", asked)
                self.url = f"{self.bucket}/artifacts/{quote(made['name'])}"
            piece = {"size": len(part), "bytes": base64.b64encode(part).decode(), "byteoffset": self.offset}
            self.insist(piece)
            self.offset += len(part)

    def insist(self, piece: dict[str, Any]) -> None:
        while True:
            try:
                self.wire.post_json(self.url, piece)
            except StoreRefused as error:
                if error.status < 500:
                    raise
            except (OSError, http.client.HTTPException):
                pass
            else:
                return
            time.sleep(0.1)

    def close(self) -> None:
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
        self.thread.join()


class Store:
    """Without an address, or when the bucket cannot be made, it does nothing."""

    def __init__(self, wire: Wire, url: str, step_id: str) -> None:
        self.wire = wire
        self.bucket = ""
        self.logs: dict[str, ChunkedLog] = {}
        if url:
            with suppress(StoreRefused, OSError):
                made = wire.post_json(f"{url}/buckets/", {"id": step_id, "owner": "changes"})
                assert made["id"] == step_id
                assert isinstance(made["state"], int)
                self.bucket = f"{url}/buckets/{step_id}"
                self.logs = {name: ChunkedLog(wire, self.bucket, name) for name in ("infralog", "console")}

    def write(self, log: str, data: bytes) -> None:
        if log in self.logs:
            self.logs[log].write(data)

    def upload_all(self, files: list[tuple[Path, str]]) -> None:
        """All at once; the next command waits for the last."""
        if not self.bucket:
            return
        threads = [threading.Thread(target=self.upload, args=each) for each in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def upload(self, path: Path, relative: str) -> None:
        try:
            self.send(path, relative)
        except (StoreRefused, OSError) as error:
            self.write("infralog", f"{relative}: {error}\n".encode())

    def send(self, path: Path, relative: str) -> None:
        data = path.read_bytes()
        asked = {"chunked": False, "name": path.name, "size": len(data), "relativePath": relative}
        made = self.wire.post_json(f"{self.bucket}/artifacts", asked)
        where = f"{self.bucket}/artifacts/{quote(made['name'])}"
        status, body = self.wire.send("POST", where, data, "application/octet-stream")
        if status != OK:
            raise StoreRefused(status, body)

    def close(self) -> None:
        for log in self.logs.values():
            log.close()
        if self.bucket:
            with suppress(StoreRefused, OSError):
                self.wire.post_json(f"{self.bucket}/close", {})


# --- the run -------------------------------------------------------------------------------


@dataclass
class Run:
    """One step from its configuration to its result."""

    flags: Mapping[str, str]
    config: dict[str, Any]
    wire: Wire
    reporter: Reporter
    store: Store
    is_aborted: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> Path:
        return Path(self.flags.get("artifact-search-path", "."))

    def work(self) -> str:
        if self.config.get("debugConfig", {}).get("forceInfraFailure"):
            return "infra_failed"
        for command in self.config["commands"]:
            code = self.run(command)
            if self.is_aborted.is_set():
                return "aborted"
            is_setup = command["type"]["id"] == "infra_setup"
            if code != NOT_RUN and not (code and is_setup):
                self.store.upload_all(list(self.matching(command.get("artifacts") or [])))
            if code:
                return "infra_failed" if is_setup else "failed"
        return "passed"

    def run(self, command: dict[str, Any]) -> int:
        path = f"/commands/{command['id']}/"
        self.reporter.tell(path, status="in_progress")
        code, output = self.execute(command)
        if code == 0 and command.get("captureOutput"):
            self.reporter.tell(path, status="finished", return_code="0", output=output.decode())
        else:
            self.reporter.tell(path, status="finished", return_code=str(code))
        return code

    def execute(self, command: dict[str, Any]) -> tuple[int, bytes]:
        """Any exit but 0 is told as 1."""
        external = dict(os.environ) if self.flags.get("use-external-env", "true") == "true" else {}
        descriptor, name = tempfile.mkstemp(prefix="script-", dir=".")
        os.write(descriptor, command["script"].encode())
        os.close(descriptor)
        script = Path(name).resolve()
        script.chmod(script.stat().st_mode | 0o111)
        try:
            process = subprocess.Popen(
                [str(script)],
                cwd=command.get("cwd") or None,
                env={**external, **command["env"]},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self.store.write("console", f"{error}\n".encode())
            return NOT_RUN, b""
        captured = bytearray()
        reader = threading.Thread(target=self.pass_on, args=[process, captured], daemon=True)
        reader.start()
        while process.poll() is None:
            if self.is_aborted.wait(0.02):
                # The running command is abandoned; here it is ended, so that no test leaves it behind.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        reader.join(10)
        return (1 if process.returncode else 0), bytes(captured)

    def pass_on(self, process: subprocess.Popen[bytes], captured: bytearray) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                captured += line
                self.store.write("console", line)

    def matching(self, patterns: list[str]) -> Iterator[tuple[Path, str]]:
        """A file that matches two patterns is sent twice, one that is empty not at all."""
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root).as_posix()
            for pattern in patterns:
                subject = relative if "/" in pattern else path.name
                if fnmatch.fnmatchcase(subject, pattern) and path.is_file() and path.stat().st_size:
                    yield path, relative


class Heart:
    """Beats at once and then every 20 to 29 s. Gone, or finished, stops the run."""

    def __init__(self, run: Run, url: str) -> None:
        self.run, self.url = run, url
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.beat)
        self.thread.start()

    def beat(self) -> None:
        while not self.is_over.is_set():
            with suppress(OSError, http.client.HTTPException):
                status, body = self.run.wire.send("POST", self.url)
                is_over = status == OK and json.loads(body)["status"]["id"] == "finished"
                if status == GONE or is_over:
                    self.run.is_aborted.set()
            self.is_over.wait(pause_s("HEARTBEAT", 20))

    def stop(self) -> None:
        self.is_over.set()
        self.thread.join()


def parse(words: list[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    for word in words:
        name, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in FLAGS:
            sys.stderr.write(f"flag provided but not defined: {word}\n")
            raise SystemExit(UNKNOWN_FLAG)
        flags[name] = value
    return flags


def configuration(wire: Wire, url: str) -> dict[str, Any]:
    pause = pause_s("CONFIG", 0.25)
    for _ in range(CONFIG_TRIES):
        status, body = wire.send("GET", url)
        if status == OK:
            told: dict[str, Any] = json.loads(body)
            return told
        if status != NOT_FOUND:
            break
        time.sleep(pause)
        pause *= 2
    sys.stderr.write(f"no configuration: {status}\n")
    raise SystemExit(0)


def hostname() -> str:
    """As `hostname -f` prints it."""
    return os.environ.get("FAKE_HOST", "worker.example.com") + "\n"


def main(words: list[str]) -> int:
    flags = parse(words)
    server, step_id = flags["server"].rstrip("/"), flags["jobstep_id"]
    wire = Wire()
    config = configuration(wire, f"{server}/jobsteps/{step_id}/")
    store = Store(wire, flags.get("artifacts-server", ""), step_id)
    store.write("infralog", f"reporting to {server}\n".encode())
    store.write("console", f"changes-client fake\nJobstep: {step_id}\n".encode())
    reporter = Reporter(wire, server)
    run = Run(flags, config, wire, reporter, store)
    about = f"/jobsteps/{step_id}/"
    if config.get("debugConfig", {}).get("mesosDontPushLogChunks") is False:
        reporter.tell(f"{about}logappend/", source="console", text="changes-client fake\n")
    reporter.tell(about, status="in_progress", node=hostname())
    heart = Heart(run, f"{server}{about}heartbeat/")
    if os.environ.get("FAKE_HANG"):
        threading.Event().wait()
    result = run.work()
    reporter.tell(about, status="finished", result=result, node=hostname())
    reporter.close()
    store.close()
    heart.stop()
    return {"passed": 0, "infra_failed": 99}.get(result, 1) if flags.get("exit-result") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
