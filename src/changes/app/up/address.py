"""The address of the web server: that it is free, and when it answers."""

import contextlib
import errno
import http.client
import socket

from changes.app.embedded.errors import StartRefused

ANSWER_MAX_S = 2


class PortTaken(StartRefused):
    """Somebody else listens there."""


class AddressUnusable(StartRefused):
    """We can never listen on the host and port that were chosen."""


def refuse_taken_port(host: str, port: int) -> None:
    """Try it: the children would otherwise fail one after the other, with less clear words."""
    try:
        with _listener(host, port):
            return
    except OSError as error:
        raise _refusal(error, host, port) from error


def _listener(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # As the web server will: connections of an earlier run that still linger do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _refusal(error: OSError, host: str, port: int) -> StartRefused:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is taken by another program: stop it, or choose another port,"
            f" for example PORT={port + 1} make up."
        )
    return AddressUnusable(
        f"The web server cannot listen on {host}, port {port} ({error.strerror or error}):"
        " choose others with HOST and PORT."
    )


def is_healthy(host: str, port: int) -> bool:
    """One GET /healthz, without any proxy of the environment."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=ANSWER_MAX_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def reachable(host: str) -> str:
    """Where to call somebody who listens everywhere."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
