"""Connections to the server that are kept for the next short call.

A step of a moment tells little and asks little; what urllib3 does around a call then costs more than
all the rest of it. Head and body go out at once, so the server wakes once for each call.
"""

import http.client
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SocketOptions = list[tuple[int, int, int]]


@dataclass(frozen=True)
class Call:
    method: str
    # Behind the address of the server.
    where: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout_s: float


@dataclass(frozen=True)
class Connections:
    """Safe to use from many threads. Raises OSError or HTTPException where there is no answer."""

    base: str
    connect_timeout_s: float
    socket_options: SocketOptions
    kept_max: int = 8
    _kept: deque[http.client.HTTPConnection] = field(default_factory=deque)
    _tls: list[ssl.SSLContext] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _is_closed: threading.Event = field(default_factory=threading.Event)

    def ask(self, call: Call, *, anew: bool = False) -> tuple[int, bytes]:
        """Status and body of the answer. `anew`: not by a connection that may be dead already."""
        connection = self._new() if anew else self._take()
        try:
            answer = self._answer(connection, call)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return answer

    def close(self) -> None:
        """A call that is on its way closes its own connection when it is back."""
        with self._guard:
            self._is_closed.set()
            while self._kept:
                self._kept.pop().close()

    def _answer(self, connection: http.client.HTTPConnection, call: Call) -> tuple[int, bytes]:
        if connection.sock is None:
            self._connect(connection)
        connection.sock.settimeout(call.timeout_s)
        path = urlsplit(self.base).path
        connection.request(call.method, f"{path}{call.where}", call.body, call.headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()
        for option in self.socket_options:
            connection.sock.setsockopt(*option)

    def _take(self) -> http.client.HTTPConnection:
        """The one used last; what the other side has closed meanwhile is passed over."""
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:
                return self._new()
            if not _has_something(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._guard:
            # The server said that it closes its end, or enough are kept.
            if connection.sock is None or len(self._kept) >= self.kept_max or self._is_closed.is_set():
                connection.close()
            else:
                self._kept.append(connection)

    def _new(self) -> http.client.HTTPConnection:
        address, timeout_s = urlsplit(self.base), self.connect_timeout_s
        try:
            host, port = address.hostname or "", address.port
        except ValueError as error:
            raise http.client.InvalidURL(str(error)) from error
        if address.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._context())
        return http.client.HTTPConnection(host, port, timeout=timeout_s)

    def _context(self) -> ssl.SSLContext:
        """Made once, as it reads all that the machine trusts."""
        with self._guard:
            if not self._tls:
                self._tls.append(ssl.create_default_context())
            return self._tls[0]


def _has_something(sock: socket.socket) -> bool:
    """Between two calls there is nothing to be read but the end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
