"""The only file that talks to the server."""

from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from changes.agent.errors import NotAccepted, OffsetExpected, Refused, ServerAway, StepGone
from changes.protocol import (
    VERSION,
    VERSION_HEADER,
    Ask,
    Enrolled,
    Enrolment,
    Heartbeat,
    HeartbeatAnswer,
    LogAccepted,
    StepOffer,
    StepReport,
)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
ARTIFACT_TIMEOUT_S = 300.0
# A held request is answered a little late at worst; beyond this the line is dead.
HOLD_SLACK_S = 10.0
SEND_BLOCK_BYTES = 128 * 1024
SHA256_HEADER = "Changes-SHA256"

OK, NO_CONTENT, CONFLICT = 200, 204, 409
CLIENT_ERRORS, SERVER_ERRORS = 400, 500
# 426: the server speaks another version of the protocol.
REFUSED = (401, 403, 426)
GONE = (404, 410)
TEMPORARY = (408, 425, 429)

Message = TypeVar("Message")


class Client:
    """One call per message of the protocol. Safe to use from many threads."""

    def __init__(self, server: str, token: str = "", connections: int = 8) -> None:
        self._base = f"{server.rstrip('/')}/api/0/agents/"
        self._headers = {VERSION_HEADER: str(VERSION), "Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=connections, retries=False, blocksize=SEND_BLOCK_BYTES, headers=self._headers
        )

    def close(self) -> None:
        self._pool.clear()

    def enrol(self, enrolment: Enrolment) -> Enrolled:
        try:
            answer = self._send("POST", "enrol/", msgspec.json.encode(enrolment))
        except StepGone as error:
            raise Refused(f"This is no Changes server: {error}") from error
        return _decoded(answer, Enrolled)

    def next_steps(self, ask: Ask) -> list[StepOffer]:
        answer = self._send("POST", "steps/next/", msgspec.json.encode(ask), ask.wait_s + HOLD_SLACK_S)
        return _decoded(answer, list[StepOffer]) if answer else []

    def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        timeout_s = heartbeat.wait_s + HOLD_SLACK_S
        return _decoded(
            self._send("POST", "heartbeat/", msgspec.json.encode(heartbeat), timeout_s), HeartbeatAnswer
        )

    def report(self, step_id: str, report: StepReport) -> None:
        self._send("POST", f"steps/{_quoted(step_id)}/report/", msgspec.json.encode(report))

    def append_log(self, step_id: str, name: str, offset: int, data: bytes) -> int:
        """Returns the offset before which the server has everything."""
        where = f"steps/{_quoted(step_id)}/logs/{_quoted(name)}/?offset={offset}"
        return _decoded(self._send("POST", where, data), LogAccepted).offset

    def put_artifact(self, step_id: str, path: str, stored: Path, sha256: str) -> None:
        where = f"steps/{_quoted(step_id)}/artifacts/{_quoted(path, '/')}"
        with stored.open("rb") as content:
            headers = {SHA256_HEADER: sha256, "Content-Length": str(stored.stat().st_size)}
            self._send("PUT", where, content, ARTIFACT_TIMEOUT_S, headers)

    def patch(self, step_id: str) -> bytes:
        return self._send("GET", f"steps/{_quoted(step_id)}/patch/", None, ARTIFACT_TIMEOUT_S)

    def _send(
        self,
        method: str,
        where: str,
        body: bytes | BinaryIO | None,
        timeout_s: float = ANSWER_TIMEOUT_S,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        request = {
            "body": body,
            "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s),
            "headers": self._headers | {"Content-Type": "application/octet-stream"} | headers
            if headers
            else self._headers,
            "redirect": False,
        }
        try:
            response = self._request(method, self._base + where, request)
        except (HTTPError, OSError) as error:
            raise ServerAway(f"{method} {where}: {error}") from error
        if response.status not in (OK, NO_CONTENT):
            raise _meaning(response.status, response.data)
        return response.data

    def _request(self, method: str, url: str, request: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(method, url, **request)
        except ProtocolError:
            # Most often a kept connection that the server closed just now. Everything may
            # be sent twice, so a fresh one is tried before the server counts as away.
            if hasattr(request["body"], "seek"):
                request["body"].seek(0)
            return self._pool.request(method, url, **request)


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
    if status in GONE:
        return StepGone(words)
    if status == CONFLICT and problem.offset is not None:
        return OffsetExpected(problem.offset)
    if status in TEMPORARY or status >= SERVER_ERRORS:
        return ServerAway(words)
    return NotAccepted(words)
