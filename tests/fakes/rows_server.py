"""A warehouse that takes rows as the original sent them: a JSON list, and in the address the table."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class RowsServer:
    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.is_away = False
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}/rows?key=of+ours"
        self.thread = threading.Thread(target=self.http.serve_forever, args=[0.01])
        self.thread.start()

    def answer(self, address: str, kind: str, body: bytes) -> int:
        if self.is_away:
            return 503
        asked = parse_qs(urlsplit(address).query)
        if kind != "application/json" or set(asked) != {"key", "source"}:
            return 400
        self.tables.setdefault(asked["source"][0], []).extend(json.loads(body))
        return 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def handler_of(server: RowsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(server.answer(self.path, self.headers.get("Content-Type", ""), body))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test tells."""

    return Handler
