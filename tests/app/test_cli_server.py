"""What a command makes of an answer that is none of ours, and of an id that is none."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from changes.app.cli.main import main

NOT_REACHABLE = 3


class Another(BaseHTTPRequestHandler):
    """Some other web server, which knows every address and has a page for each."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please sign in</html>")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_told: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    asked: list[str] = []
    handler = type("Handler", (Another,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CHANGES_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("CHANGES_TOKEN", "secret")
        yield asked
        server.shutdown()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["changes", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("words", [("status",), ("why", "1"), ("cancel", "1"), ("flaky", "server")])
def test_an_answer_of_another_web_server_is_said_in_words(
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    assert run(monkeypatch, *words) == NOT_REACHABLE

    assert "is no server of Changes" in capsys.readouterr().err
    assert asked


def test_a_number_with_its_sign_is_asked_for_as_it_was_typed(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "cancel", "#12?x")

    assert asked == ["/api/0/builds/%2312%3Fx/cancel/"]
