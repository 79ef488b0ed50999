import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from changes.app.up import address
from changes.app.up.address import AddressUnusable, PortTaken


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_free_port_is_accepted_and_left_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    for _ in range(2):
        address.refuse_taken_port("127.0.0.1", port)


def test_a_taken_port_is_refused() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(PortTaken, match=r"PORT=\d+ make up"),
    ):
        address.refuse_taken_port("127.0.0.1", listener.getsockname()[1])


def test_a_host_that_is_not_ours_is_refused_by_name() -> None:
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1"):
        address.refuse_taken_port("192.0.2.1", 5000)


def test_a_server_is_healthy_when_it_says_so(web: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    port = web.server_port
    assert address.is_healthy("127.0.0.1", port)

    monkeypatch.setattr(Answering, "status", 503)

    assert not address.is_healthy("127.0.0.1", port)


def test_a_silent_port_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert not address.is_healthy("127.0.0.1", port)


@pytest.mark.parametrize(("host", "called"), [("::", "::1"), ("", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")])
def test_a_server_that_listens_everywhere_is_called_on_this_machine(host: str, called: str) -> None:
    assert address.reachable(host) == called
