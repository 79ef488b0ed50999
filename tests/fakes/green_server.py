"""Who waits for green commits as the original told them: a form, a password, 409 for what is known."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl

WANTED = {
    "project",
    "id",
    "build_url",
    "build_server",
    "author_name",
    "author_email",
    "commit_timestamp",
    "revision_message",
}


class GreenServer:
    def __init__(self, login: str = "changes:secret") -> None:
        self.login = "Basic " + base64.b64encode(login.encode()).decode()
        self.heard: list[dict[str, str]] = []
        self.is_away = False
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}/green/"
        self.thread = threading.Thread(target=self.http.serve_forever, args=[0.01])
        self.thread.start()

    def answer(self, login: str, kind: str, body: bytes) -> int:
        if self.is_away:
            return 503
        if login != self.login:
            return 401
        said = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if kind != "application/x-www-form-urlencoded" or set(said) != WANTED:
            return 400
        is_known = any(
            (known["project"], known["id"]) == (said["project"], said["id"]) for known in self.heard
        )
        self.heard.append(said)
        return 409 if is_known else 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def handler_of(server: GreenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            login, kind = self.headers.get("Authorization", ""), self.headers.get("Content-Type", "")
            self.send_response(server.answer(login, kind, body))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test tells."""

    return Handler
