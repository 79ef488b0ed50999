"""A caller with one kept connection and as little of its own time as Python allows."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode

HOST = "127.0.0.1"
TIMEOUT_S = 60
ERRORS_FROM = 400
# Servers close a connection that was silent for 5 s; we must not write into that moment.
KEPT_S = 3


class Caller:
    def __init__(self, port: int, token: str = "", *, cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
        self._used_at = time.monotonic()
        who = {"Cookie": cookie} if cookie else {"Authorization": f"Bearer {token}"}
        self._headers = {**who, "Changes-Protocol": "1"}

    def get(self, path: str) -> bytes:
        return self._ask("GET", path, None, {})

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, fields: dict[str, str] | None = None) -> Any:
        """Fields as a form, the way people and old clients send them."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return json.loads(self._ask("POST", path, urlencode(fields or {}).encode(), kind))

    def post_json(self, path: str, message: object) -> Any:
        kind = {"Content-Type": "application/json"}
        return json.loads(self._ask("POST", path, json.dumps(message).encode(), kind))

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        if time.monotonic() - self._used_at > KEPT_S:
            self._connection.close()
        self._connection.request(method, path, body, {**self._headers, **headers})
        answer = self._connection.getresponse()
        content = answer.read()
        self._used_at = time.monotonic()
        if answer.status >= ERRORS_FROM:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return content
