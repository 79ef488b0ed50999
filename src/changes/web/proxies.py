"""Who really asks, where a proxy stands in front: only proxies named in the settings are believed.

Pure ASGI. `peer` is the machine that opened the connection; `client` becomes the one behind the
proxy, and the scheme the one its browser speaks.
"""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from changes.base.process import settings
from changes.base.sign_in_settings import Network, is_within

SCHEMES = {"http", "https"}


class Proxies:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            peer = scope["client"][0] if scope.get("client") else ""
            scope.setdefault("state", {})["peer"] = peer
            # Health checks are answered by processes that have no settings yet.
            trusted = settings.thing.trusted_proxies if settings.thing is not None else ()
            if trusted and is_within(trusted, peer):
                scope.update(told_by_proxy(Headers(scope=scope), trusted))
        await self.app(scope, receive, send)


def told_by_proxy(headers: Headers, trusted: tuple[Network, ...]) -> Scope:
    """What stands left of the last address that is no proxy may be written by anybody."""
    told: Scope = {}
    if headers.get("X-Forwarded-Proto") in SCHEMES:
        told["scheme"] = headers["X-Forwarded-Proto"]
    chain = [each.strip() for each in ",".join(headers.getlist("X-Forwarded-For")).split(",") if each.strip()]
    for address in reversed(chain):
        if not is_within(trusted, address):
            told["client"] = (address, 0)
            break
    return told


def peer(connection: HTTPConnection) -> str:
    return str(getattr(connection.state, "peer", ""))


def address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""
