"""The only file that talks to the server."""

import http.client
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import quote

import msgspec
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ProtocolError

from changes.agent.errors import NotAccepted, OffsetExpected, OtherVersion, Refused, ServerAway, StepGone
from changes.agent.kept_connections import Call, Connections
from changes.protocol import (
    PART_MAX_BYTES,
    READ_HEADER,
    VERSION,
    VERSION_HEADER,
    Accepted,
    ArtifactBatch,
    ArtifactsRefused,
    Ask,
    CacheAsk,
    CacheFound,
    CacheSave,
    CardToSay,
    Enrolled,
    Enrolment,
    Heartbeat,
    HeartbeatAnswer,
    Hello,
    LogAccepted,
    Login,
    NewKey,
    SmallArtifact,
    SnapshotMade,
    StepOffer,
    StepReport,
    Welcome,
)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
ARTIFACT_TIMEOUT_S = 300.0
# A held request is answered a little late at worst; beyond this the line is dead.
HOLD_SLACK_S = 10.0
SEND_BLOCK_BYTES = 128 * 1024
READ_BLOCK_BYTES = 1024 * 1024
# A held request is silent for a minute. Whether there is still somebody at the other end is asked below
# HTTP, by the kernel, and answered there: after this a line that was cut counts as dead.
PROBE_AFTER_S, PROBE_EVERY_S, PROBES = 10, 5, 3
UNSENT_MAX_MS = (PROBE_AFTER_S + PROBE_EVERY_S * PROBES) * 1000
SHA256_HEADER = "Changes-SHA256"

OK, NO_CONTENT, CONFLICT = 200, 204, 409
CLIENT_ERRORS, SERVER_ERRORS = 400, 500
REFUSED, OTHER_VERSION = (401, 403), 426
GONE = (404, 410)
# With these it is found out whether this is a server of ours.
FIRST_CALLS = ("enrol/", "hello/")
TEMPORARY = (408, 425, 429)

Message = TypeVar("Message")


class Stored(Protocol):
    """A file that was copied aside to be sent."""

    @property
    def path(self) -> str: ...

    @property
    def stored(self) -> Path: ...

    @property
    def sha256(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True)
class Question:
    """When it has to be sent once more, an answer to it may have got lost; then it is another one."""

    first: bytes
    again: bytes


class Client:
    """One call per message of the protocol. Safe to use from many threads."""

    def __init__(self, server: str, token: str = "", connections: int = 8) -> None:
        self._base = f"{server.rstrip('/')}/api/0/agents/"
        self._headers = {VERSION_HEADER: str(VERSION), "Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            retries=False,
            blocksize=SEND_BLOCK_BYTES,
            headers=self._headers,
            socket_options=_socket_options(),
        )
        # For all that is no file.
        self._kept = Connections(self._base, CONNECT_TIMEOUT_S, _socket_options(), connections)
        # What the server said of itself, once it did.
        self.welcome: Welcome | None = None

    def close(self) -> None:
        self._pool.clear()
        self._kept.close()

    def use(self, token: str) -> None:
        """From the next request on; those under way end with the key they began with."""
        self._headers = {**self._headers, "Authorization": f"Bearer {token}"}

    def enrol(self, enrolment: Enrolment) -> Enrolled:
        try:
            answer = self._send("POST", "enrol/", msgspec.json.encode(enrolment))
        except StepGone as error:
            raise Refused(f"This is no Changes server: {error}") from error
        return _decoded(answer, Enrolled)

    def hello(self, hello: Hello) -> Welcome:
        return _decoded(self._send("POST", "hello/", msgspec.json.encode(hello)), Welcome)

    def new_key(self) -> NewKey:
        return _decoded(self._send("POST", "key/", b"{}"), NewKey)

    def next_steps(self, ask: Ask, held: list[str]) -> list[StepOffer]:
        again = msgspec.structs.replace(ask, held=held)
        question = Question(msgspec.json.encode(ask), msgspec.json.encode(again))
        answer = self._send("POST", "steps/next/", question, ask.wait_s + HOLD_SLACK_S)
        return _decoded(answer, list[StepOffer]) if answer else []

    def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        timeout_s = heartbeat.wait_s + HOLD_SLACK_S
        return _decoded(
            self._send("POST", "heartbeat/", msgspec.json.encode(heartbeat), timeout_s), HeartbeatAnswer
        )

    def report(self, step_id: str, report: StepReport) -> None:
        answer = self._send("POST", f"steps/{_quoted(step_id)}/report/", msgspec.json.encode(report))
        # A page that somebody in between shows with a friendly status accepts nothing.
        _decoded(answer, Accepted)

    def append_log(self, step_id: str, name: str, offset: int, data: bytes, times: str = "") -> int:
        """Returns the offset before which the server has everything."""
        where = f"steps/{_quoted(step_id)}/logs/{_quoted(name)}/?offset={offset}"
        headers = {READ_HEADER: times} if times else None
        return _decoded(self._send("POST", where, data, headers=headers), LogAccepted).offset

    def put_artifact(self, step_id: str, path: str, stored: Path, sha256: str) -> None:
        where = f"steps/{_quoted(step_id)}/artifacts/{_quoted(path, '/')}"
        with stored.open("rb") as content:
            headers = {SHA256_HEADER: sha256, "Content-Length": str(stored.stat().st_size)}
            _decoded(self._send("PUT", where, content, headers=headers), Accepted)

    def put_artifacts(self, step_id: str, batch: Sequence[Stored]) -> dict[str, str]:
        """By path, why the server does not take it."""
        paths = {_quoted(each.path, "/"): each.path for each in batch}
        files = [
            SmallArtifact(path=path, sha256=each.sha256, content=each.stored.read_bytes())
            for path, each in zip(paths, batch, strict=True)
        ]
        where = f"steps/{_quoted(step_id)}/artifacts/"
        answer = self._send(
            "POST", where, msgspec.json.encode(ArtifactBatch(files=files)), ARTIFACT_TIMEOUT_S
        )
        refused = _decoded(answer, ArtifactsRefused).refused
        return {paths.get(path, path): why for path, why in refused.items()}

    def put_part(self, step_id: str, artifact: Stored, offset: int) -> int:
        with artifact.stored.open("rb") as content:
            content.seek(offset)
            data = content.read(PART_MAX_BYTES)
        asked = f"offset={offset}&size={artifact.size_bytes}"
        where = f"steps/{_quoted(step_id)}/uploads/{_quoted(artifact.path, '/')}?{asked}"
        headers = {SHA256_HEADER: artifact.sha256}
        return _decoded(self._send("PUT", where, data, ARTIFACT_TIMEOUT_S, headers), LogAccepted).offset

    def put_blob_part(self, step_id: str, sha256: str, stored: Path, offset: int) -> int:
        with stored.open("rb") as content:
            content.seek(offset)
            data = content.read(PART_MAX_BYTES)
        asked = f"offset={offset}&size={stored.stat().st_size}"
        where = f"steps/{_quoted(step_id)}/blobs/{_quoted(sha256)}/?{asked}"
        return _decoded(self._send("PUT", where, data, ARTIFACT_TIMEOUT_S), LogAccepted).offset

    def fetch_blob(self, step_id: str, sha256: str, part: Path) -> None:
        """Goes on behind what the file has already."""
        with part.open("ab") as file:
            where = f"steps/{_quoted(step_id)}/blobs/{_quoted(sha256)}/?offset={file.tell()}"
            timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S)
            request: dict[str, Any] = {"headers": self._headers, "timeout": timeout, "redirect": False}
            try:
                response = self._pool.request("GET", self._base + where, preload_content=False, **request)
                if response.status != OK:
                    raise _meaning(response.status, response.read())
                with response:
                    for data in response.stream(READ_BLOCK_BYTES):
                        file.write(data)
            except (HTTPError, ConnectionError, TimeoutError) as error:
                raise ServerAway(f"GET {where}: {error}") from error

    def find_cache(self, step_id: str, ask: CacheAsk) -> CacheFound:
        where = f"steps/{_quoted(step_id)}/caches/find/"
        return _decoded(self._send("POST", where, msgspec.json.encode(ask)), CacheFound)

    def save_cache(self, step_id: str, save: CacheSave) -> None:
        self._send("POST", f"steps/{_quoted(step_id)}/caches/", msgspec.json.encode(save))

    def post_card(self, step_id: str, card: CardToSay) -> None:
        self._send("POST", f"steps/{_quoted(step_id)}/cards/", msgspec.json.encode(card))

    def tell_snapshot(self, step_id: str, made: SnapshotMade) -> None:
        self._send("POST", f"steps/{_quoted(step_id)}/snapshot/", msgspec.json.encode(made))

    def logins(self, step_id: str) -> list[Login]:
        try:
            answer = self._send("GET", f"steps/{_quoted(step_id)}/logins/", None)
        except StepGone:
            # A server of version 1 has none; for a step that is over it does not matter.
            return []
        return _decoded(answer, list[Login])

    def patch(self, step_id: str) -> bytes:
        return self._send("GET", f"steps/{_quoted(step_id)}/patch/", None, ARTIFACT_TIMEOUT_S)

    def _send(
        self,
        method: str,
        where: str,
        body: bytes | BinaryIO | Question | None,
        timeout_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """What got lost on the way is sent once more: most often a kept connection was closed just now.
        Everything may be sent twice, so a fresh one is tried before the server counts as away.
        """
        own = {"Content-Type": "application/octet-stream", **headers} if headers else {}
        sent = {**self._headers, **own}
        timeout_s = timeout_s or ANSWER_TIMEOUT_S
        try:
            if body is None or isinstance(body, bytes | Question):
                first, again = (body.first, body.again) if isinstance(body, Question) else (body, body)
                status, answer = self._ask(Call(method, where, first, sent, timeout_s), again)
            else:
                status, answer = self._put_file(method, where, body, sent)
        except (HTTPError, http.client.HTTPException, OSError) as error:
            raise ServerAway(f"{method} {where}: {error}") from error
        if status not in (OK, NO_CONTENT):
            if status in (*REFUSED, *GONE) and where not in FIRST_CALLS:
                # Once this is known to be our server, a no in other words is of somebody in between, such as
                # a proxy whose server is being exchanged: that passes.
                _decoded(answer, _Problem)
            raise _meaning(status, answer)
        return answer

    def _ask(self, call: Call, again: bytes | None) -> tuple[int, bytes]:
        try:
            return self._kept.ask(call)
        except (ConnectionError, http.client.HTTPException):
            return self._kept.ask(replace(call, body=again), anew=True)

    def _put_file(
        self, method: str, where: str, file: BinaryIO, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=ARTIFACT_TIMEOUT_S)
        request: dict[str, Any] = {"body": file, "headers": headers, "timeout": timeout, "redirect": False}
        try:
            response = self._pool.request(method, self._base + where, **request)
        except ProtocolError:
            file.seek(0)
            response = self._pool.request(method, self._base + where, **request)
        return response.status, response.data


def _socket_options() -> list[tuple[int, int, int]]:
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    wanted = {
        "TCP_KEEPIDLE": PROBE_AFTER_S,
        "TCP_KEEPINTVL": PROBE_EVERY_S,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": UNSENT_MAX_MS,
    }
    for name, value in wanted.items():
        # Not every system knows each of them.
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _quoted(part: str, safe: str = "") -> str:
    # File names are bytes; those that are not UTF-8 travel as they are.
    return quote(part.encode(errors="surrogateescape"), safe=safe)


def _decoded(answer: bytes, kind: type[Message]) -> Message:
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError as error:
        raise ServerAway(f"Something else than the server answered: {error}") from error


class _Problem(msgspec.Struct):
    error: str = ""
    offset: int | None = None


def _meaning(status: int, body: bytes) -> Exception:
    """What an answer other than success asks of us."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(error=body[:200].decode(errors="replace"))
    words = f"{status} {problem.error}".strip()
    if status in REFUSED:
        return Refused(words)
    if status == OTHER_VERSION:
        return OtherVersion(words)
    if status in GONE:
        return StepGone(words)
    if status == CONFLICT and problem.offset is not None:
        return OffsetExpected(problem.offset)
    if status in TEMPORARY or status >= SERVER_ERRORS:
        return ServerAway(words)
    return NotAccepted(words)
