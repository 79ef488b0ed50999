"""The far side of the agent's wire: a small server that speaks the protocol and refuses as the real one.

Steps live as long as the object; `go_away` and `come_back` close and reopen its port, so an agent sees
a server that was restarted and has forgotten nothing.
"""

import hashlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import msgspec

from changes.protocol import (
    HOLD_MAX_S,
    VERSION,
    VERSION_HEADER,
    Accepted,
    ArtifactBatch,
    ArtifactsRefused,
    Ask,
    CacheFound,
    CardToSay,
    CommandReport,
    Enrolled,
    Enrolment,
    Heartbeat,
    HeartbeatAnswer,
    Hello,
    LogAccepted,
    Login,
    NewKey,
    SnapshotMade,
    StepOffer,
    StepReport,
    Welcome,
)

ENROL_TOKEN = "one-time"
AGENT_TOKEN = "agent-token"
ANSWER_WITHIN_S = 300.0
PREFIX = "/api/0/agents/"
Found = TypeVar("Found")


@dataclass
class StepSeen:
    """What an agent told about one step."""

    offer: StepOffer
    patch: bytes = b""
    reports: list[StepReport] = field(default_factory=list)
    logs: dict[str, bytearray] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    cards: list[CardToSay] = field(default_factory=list)
    snapshot: SnapshotMade | None = None
    is_cancelled: bool = False

    @property
    def final(self) -> StepReport | None:
        ends = (report for report in self.reports if report.status != "in_progress")
        return next(ends, None)

    @property
    def console(self) -> str:
        return bytes(self.logs.get("console", b"")).decode()

    def command(self, command_id: str) -> CommandReport | None:
        found = [each for report in self.reports for each in report.commands if each.id == command_id]
        return found[-1] if found else None


class Answer(Exception):
    """An answer other than success."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Coordinator:
    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.changed = threading.Condition()
        self.steps: dict[str, StepSeen] = {}
        self.waiting: list[str] = []
        self.given: list[str] = []
        self.enrolments: list[Enrolment] = []
        self.heartbeats: list[Heartbeat] = []
        self.requests: list[str] = []
        self.hellos: list[Hello] = []
        # Keys that are good now, the newest last; and what the next hello answers.
        self.keys = [AGENT_TOKEN]
        self.protocol = VERSION
        self.welcome: dict[str, Any] = {}
        self.is_revoked = False
        self.is_busy = self.is_silent = False
        self.refuses_log_ends = False
        self.unanswered = 0
        # Longest time a heartbeat is held.
        self.hold_s = HOLD_MAX_S
        self.lost_answers = 0
        self.lost_about = ""
        # Instead of an answer that is to get lost, somebody in between says so.
        self.is_replaced_by_a_proxy = False
        self.status_of_proxy = 502
        self.logins: list[Login] = []
        # What is kept, by digest.
        self.blobs: dict[str, bytearray] = {}
        self._port = 0
        self._server: _Server | None = None
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def come_back(self) -> None:
        self._server = _Server(self, self._port)
        self._port = self._server.server_port

    def go_away(self) -> None:
        """Held requests end without an answer, as when a server is killed."""
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def offer(self, offer: StepOffer, patch: bytes = b"") -> StepSeen:
        with self.changed:
            self.steps[offer.id] = StepSeen(offer, patch)
            self.waiting.append(offer.id)
            self.changed.notify_all()
        return self.steps[offer.id]

    def cancel(self, step_id: str) -> None:
        with self.changed:
            self.steps[step_id].is_cancelled = True
            self.changed.notify_all()

    def lose_answers(self, count: int) -> None:
        """Acts on the next requests about a step, but their answers never arrive."""
        with self.changed:
            self.lost_answers = count

    def lose_answer_about(self, part: str) -> None:
        """Acts on the next request with this in its address, but the answer never arrives."""
        with self.changed:
            self.lost_about = part

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes requests and answers none, as when its disk hangs."""
        with self.changed:
            self.is_silent = True
        try:
            yield
        finally:
            with self.changed:
                self.is_silent = False
                self.changed.notify_all()

    def wait_for(self, question: Callable[[], Found], within_s: float = ANSWER_WITHIN_S) -> Found:
        with self.changed:
            found = self.changed.wait_for(question, within_s)
        assert found, f"did not happen within {within_s} s; seen: {self.requests[-20:]}"
        return found

    def final_of(self, step: StepSeen) -> StepReport:
        final = self.wait_for(lambda: step.final)
        assert final is not None
        return final


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, coordinator: Coordinator, port: int) -> None:
        super().__init__((coordinator.host, port), _Handler)
        self.coordinator = coordinator
        self.is_over = False
        self.connections: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.is_over = True
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self.connections):
            _hang_up(connection)
        with self.coordinator.changed:
            self.coordinator.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that was killed in the middle of a request is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet; else Nagle's algorithm holds the body back for 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Silence; tests read `requests`."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        coordinator = self.server.coordinator
        if coordinator.is_silent:
            self._stay_silent()
            return
        try:
            status, answer = 200, self._answer(body)
        except Answer as refusal:
            status, answer = refusal.status, msgspec.json.encode(refusal.body)
        with coordinator.changed:
            coordinator.requests.append(f"{self.command} {self.path} {status}")
            coordinator.changed.notify_all()
            is_lost = coordinator.lost_answers > 0 and "/steps/next/" not in self.path
            is_lost = is_lost and PREFIX + "steps/" in self.path
            coordinator.lost_answers -= is_lost
            if coordinator.lost_about and coordinator.lost_about in self.path:
                is_lost, coordinator.lost_about = True, ""
        if is_lost and coordinator.is_replaced_by_a_proxy:
            status, answer, is_lost = coordinator.status_of_proxy, b"<html>Somebody else</html>", False
        if is_lost or self.server.is_over:
            self.close_connection = True
            _hang_up(self.connection)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _stay_silent(self) -> None:
        coordinator = self.server.coordinator
        with coordinator.changed:
            coordinator.unanswered += 1
            coordinator.changed.notify_all()
            coordinator.changed.wait_for(lambda: not coordinator.is_silent or self.server.is_over)
        self.close_connection = True
        _hang_up(self.connection)

    def _answer(self, body: bytes) -> bytes:
        url = urlsplit(self.path)
        parts = url.path.removeprefix(PREFIX).split("/")
        if parts == ["enrol", ""]:
            return self._enrol(msgspec.json.decode(body, type=Enrolment))
        self._check_agent()
        match parts:
            case ["hello", ""] if self.server.coordinator.protocol > 1:
                return self._hello(msgspec.json.decode(body, type=Hello))
            case ["key", ""] if self.server.coordinator.protocol > 1:
                return self._new_key()
            case ["steps", "next", ""]:
                return self._next_steps(msgspec.json.decode(body, type=Ask))
            case ["heartbeat", ""]:
                return self._heartbeat(msgspec.json.decode(body, type=Heartbeat))
            case ["steps", step_id, *about]:
                return self._about_step(self._live(step_id), about, body)
        raise Answer(404, error="no such page")

    def _about_step(self, step: StepSeen, about: list[str], body: bytes) -> bytes:
        match about:
            case ["report", ""]:
                return self._report(step, msgspec.json.decode(body, type=StepReport))
            case ["logs", name, ""]:
                offset = int(parse_qs(urlsplit(self.path).query)["offset"][0])
                return self._append_log(step, name, offset, body)
            case ["logins", ""]:
                return msgspec.json.encode(self.server.coordinator.logins)
            case ["artifacts" | "uploads" as kind, *path]:
                return self._put_files(step, kind, "/".join(path), body)
            case ["patch", ""]:
                return step.patch
            case ["blobs" | "snapshot" | "caches" | "cards", *_]:
                return self._about_what_is_kept(step, about, body)
        raise Answer(404, error="no such page")

    def _enrol(self, enrolment: Enrolment) -> bytes:
        self._check_version(enrolment.protocol)
        if enrolment.token != ENROL_TOKEN:
            raise Answer(403, error="unknown or used token")
        self.server.coordinator.enrolments.append(enrolment)
        return msgspec.json.encode(Enrolled(token=AGENT_TOKEN, node_id="node-1"))

    def _check_version(self, spoken: int) -> None:
        ours = self.server.coordinator.protocol
        if abs(spoken - ours) > 1:
            raise Answer(426, error=f"The agent speaks protocol {spoken}, this server {ours}.")

    def _check_agent(self) -> None:
        self._check_version(int(self.headers[VERSION_HEADER]))
        is_known = self.headers["Authorization"] in [f"Bearer {key}" for key in self.server.coordinator.keys]
        if not is_known or self.server.coordinator.is_revoked:
            raise Answer(401, error="unknown token")

    def _hello(self, hello: Hello) -> bytes:
        coordinator = self.server.coordinator
        with coordinator.changed:
            coordinator.hellos.append(hello)
            coordinator.changed.notify_all()
            known = {"name": hello.name, "protocol": coordinator.protocol, "takes_log_end": True}
            said = {**known, **coordinator.welcome}
        return msgspec.json.encode(Welcome(**said))

    def _new_key(self) -> bytes:
        coordinator = self.server.coordinator
        with coordinator.changed:
            coordinator.keys.append(f"key {len(coordinator.keys)}")
            coordinator.welcome = {}
            return msgspec.json.encode(NewKey(token=coordinator.keys[-1]))

    def _live(self, step_id: str) -> StepSeen:
        step = self.server.coordinator.steps.get(step_id)
        if step is None:
            raise Answer(404, error="no such step")
        # The same final report again is welcome: our answer may have got lost.
        if (step.final is not None or step.is_cancelled) and not self.path.endswith("/report/"):
            raise Answer(410, error="the step is over")
        return step

    def _next_steps(self, ask: Ask) -> bytes:
        coordinator = self.server.coordinator
        with coordinator.changed:
            if ask.held is not None:
                self._offer_again(ask.held)
            coordinator.changed.wait_for(
                lambda: coordinator.waiting or self.server.is_over or coordinator.is_revoked,
                min(ask.wait_s, HOLD_MAX_S),
            )
            if self.server.is_over:
                return b"[]"
            self._check_agent()
            # An agent that was killed while it waited must get nothing.
            if _has_hung_up(self.connection):
                return b"[]"
            given = [coordinator.waiting.pop(0) for _ in range(min(ask.slots, len(coordinator.waiting)))]
            coordinator.given += given
        return msgspec.json.encode([coordinator.steps[step_id].offer for step_id in given])

    def _offer_again(self, held: list[str]) -> None:
        """What was given in an answer that got lost, and was never begun."""
        coordinator = self.server.coordinator
        lost = [
            each for each in coordinator.given if each not in held and not coordinator.steps[each].reports
        ]
        coordinator.given = [each for each in coordinator.given if each not in lost]
        coordinator.waiting = lost + coordinator.waiting

    def _heartbeat(self, heartbeat: Heartbeat) -> bytes:
        coordinator = self.server.coordinator

        def to_stop() -> list[str]:
            """Also steps this agent was given after it asked."""
            return [
                step_id
                for step_id, step in coordinator.steps.items()
                if step.is_cancelled and step.final is None and step_id not in coordinator.waiting
            ]

        with coordinator.changed:
            coordinator.heartbeats.append(heartbeat)
            coordinator.changed.notify_all()
            coordinator.changed.wait_for(
                lambda: to_stop() or self.server.is_over or coordinator.is_revoked,
                min(heartbeat.wait_s, coordinator.hold_s),
            )
            self._check_agent()
            return msgspec.json.encode(HeartbeatAnswer(stop=to_stop()))

    def _report(self, step: StepSeen, report: StepReport) -> bytes:
        with self.server.coordinator.changed:
            if self.server.coordinator.is_busy:
                raise Answer(503, error="too busy for reports")
            if step.final is not None and report != step.final:
                raise Answer(410, error="the step is over")
            if step.is_cancelled and report.result != "aborted":
                raise Answer(410, error="the step was cancelled")
            if report.log_end is not None and self.server.coordinator.refuses_log_ends:
                raise Answer(400, error="no log is taken here")
            if (end := report.log_end) is not None:
                self._append_log(step, end.name, end.offset, end.data)
            step.reports.append(report)
        return msgspec.json.encode(Accepted())

    def _append_log(self, step: StepSeen, name: str, offset: int, data: bytes) -> bytes:
        with self.server.coordinator.changed:
            log = step.logs.setdefault(name, bytearray())
            if offset > len(log):
                raise Answer(409, error="bytes are missing", offset=len(log))
            # What was sent twice is known already.
            log += data[len(log) - offset :]
            return msgspec.json.encode(LogAccepted(offset=len(log)))

    def _card(self, step: StepSeen, card: CardToSay) -> bytes:
        if card.style not in {"info", "success", "warning", "error"}:
            raise Answer(400, error="no such style")
        with self.server.coordinator.changed:
            step.cards.append(card)
        return msgspec.json.encode(Accepted())

    def _put_artifact(self, step: StepSeen, path: str, data: bytes) -> bytes:
        if hashlib.sha256(data).hexdigest() != self.headers["Changes-SHA256"]:
            raise Answer(400, error="the bytes do not have this sum")
        name = unquote_to_bytes(path).decode(errors="surrogateescape")
        with self.server.coordinator.changed:
            step.artifacts[name] = data
        return msgspec.json.encode(Accepted())

    def _put_files(self, step: StepSeen, kind: str, path: str, body: bytes) -> bytes:
        if kind == "uploads":
            return self._put_part(step, path, body)
        if self.command == "POST":
            return self._put_batch(step, msgspec.json.decode(body, type=ArtifactBatch))
        return self._put_artifact(step, path, body)

    def _put_batch(self, step: StepSeen, batch: ArtifactBatch) -> bytes:
        with self.server.coordinator.changed:
            for each in batch.files:
                if hashlib.sha256(each.content).hexdigest() != each.sha256:
                    raise Answer(400, error="the bytes do not have this sum")
                name = unquote_to_bytes(each.path).decode(errors="surrogateescape")
                step.artifacts[name] = each.content
        return msgspec.json.encode(ArtifactsRefused())

    def _about_what_is_kept(self, step: StepSeen, about: list[str], body: bytes) -> bytes:
        """There never is a cache."""
        if about[0] == "blobs":
            return self._blob(about[1], body)
        if about == ["caches", "find", ""]:
            return msgspec.json.encode(CacheFound())
        if about == ["cards", ""]:
            return self._card(step, msgspec.json.decode(body, type=CardToSay))
        if about == ["snapshot", ""]:
            step.snapshot = msgspec.json.decode(body, type=SnapshotMade)
        return msgspec.json.encode(Accepted())

    def _blob(self, sha256: str, data: bytes) -> bytes:
        asked = parse_qs(urlsplit(self.path).query)
        coordinator, offset = self.server.coordinator, int(asked["offset"][0])
        if self.command == "GET":
            if sha256 not in coordinator.blobs:
                raise Answer(422, error="no such bytes")
            return bytes(coordinator.blobs[sha256][offset:])
        with coordinator.changed:
            stored = coordinator.blobs.setdefault(sha256, bytearray())
            if offset != len(stored):
                raise Answer(409, error="go on elsewhere", offset=len(stored))
            stored += data
        return msgspec.json.encode(LogAccepted(offset=len(stored)))

    def _put_part(self, step: StepSeen, path: str, data: bytes) -> bytes:
        asked = parse_qs(urlsplit(self.path).query)
        offset, size = int(asked["offset"][0]), int(asked["size"][0])
        with self.server.coordinator.changed:
            stored = step.uploads.setdefault(path, bytearray())
            if offset != len(stored):
                raise Answer(409, error="go on elsewhere", offset=len(stored))
            stored += data
            if len(stored) == size:
                self._put_artifact(step, path, bytes(stored))
        return msgspec.json.encode(LogAccepted(offset=len(stored)))


def _has_hung_up(connection: Any) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


def _hang_up(connection: Any) -> None:
    try:
        connection.shutdown(2)
    except OSError:
        return
