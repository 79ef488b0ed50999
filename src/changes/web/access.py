"""Around every request: an id, one line of log, and the counters. Pure ASGI, so streams stay streams."""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from changes.base import ids
from changes.web import answers, errors, health, paths

HEADER = b"x-request-id"
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = ("/healthz", "/metrics", "/agents/")

log = structlog.get_logger("access")


class Access:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = given_id(scope) or ids.new().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status, answered_after_s = 500, None

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered_after_s
            if message["type"] == "http.response.start":
                status = message["status"]
                answered_after_s = time.perf_counter() - started
                message["headers"] = [*message.get("headers", []), (HEADER, request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await pass_on(self.app, scope, receive, send_with_id)
            finally:
                note(scope, status, answered_after_s or time.perf_counter() - started)


async def pass_on(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """HEAD is a GET whose body the server in front of us leaves out; NUL is in no name of ours."""
    if "\0" in scope["path"]:
        await answers.json(errors.shape("Not Found", []), 404)(scope, receive, send)
    elif scope["method"] == "HEAD":
        inner = {**scope, "method": "GET"}
        try:
            await app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")
    else:
        await app(scope, receive, send)


def given_id(scope: Scope) -> str | None:
    """A caller's own id is kept when it is harmless to print."""
    for name, value in scope["headers"]:
        if name == HEADER:
            text: str = value.decode("latin-1")
            return text if ACCEPTABLE.fullmatch(text) else None
    return None


def note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unknown")
    health.REQUESTS.labels(scope["method"], route, status).inc()
    if not scope["state"].get("held"):
        health.SECONDS.labels(route).observe(seconds)
    path = scope["path"]
    if any(part in path for part in QUIET):
        return
    log.info(
        "request",
        method=scope["method"],
        path=paths.printable(path),
        status=status,
        ms=round(seconds * 1000, 1),
    )
