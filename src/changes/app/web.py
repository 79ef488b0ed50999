"""The web process: uvicorn, with held requests ended as soon as it is asked to stop."""

import os
import resource
import socket
import sys
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from changes.app import revision, server, wiring
from changes.app.doorbell import Doorbell, Line
from changes.base import garbage, jobs
from changes.base import settings as settings_of
from changes.base.settings import Settings

STOP_WITHIN_S = 5
CONNECTIONS_WANTED = 16384
# So long a thread that computes may keep the event loop waiting, which has agents to wake.
SWITCH_EVERY_S = 0.0005
# Whoever is on a line that was cut, and said nothing any more, is asked below HTTP whether he is there:
# after this he counts as gone, and what was begun for him is let go.
ASK_AFTER_S, ASK_EVERY_S, ASKED_TIMES = 10, 5, 3
UNHEARD_MAX_MS = (ASK_AFTER_S + ASK_EVERY_S * ASKED_TIMES) * 1000
# The process begins to answer before it looks for the broker.
ANSWERS_FIRST_S = 1


class Server(uvicorn.Server):
    """uvicorn waits for open requests; agents hold theirs open, so they are told first."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        garbage.leave_out_what_is_here()
        # None where it could not begin.
        for each in getattr(self, "servers", ()):
            for listener in each.sockets:
                notice_dead_lines(listener.fileno())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        loop = getattr(self.app.state, "loop", None)
        if loop is not None:
            loop.call_soon_threadsafe(self.app.state.bell.close)
        super().handle_exit(sig, frame)


def notice_dead_lines(listener: int) -> None:
    """Connections have the options of the socket that accepts them."""
    wanted = {
        "TCP_KEEPIDLE": ASK_AFTER_S,
        "TCP_KEEPINTVL": ASK_EVERY_S,
        "TCP_KEEPCNT": ASKED_TIMES,
        "TCP_USER_TIMEOUT": UNHEARD_MAX_MS,
    }
    with socket.socket(fileno=os.dup(listener)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in wanted.items():
            # Not every system knows each of them.
            if hasattr(socket, name):
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def connect_bell(settings: Settings) -> None:
    """Celery is a third of a second of imports, which nobody waits for here."""
    if settings.celery_always_eager:
        from changes.app import broker

        broker.connect_bell(broker.make_celery(settings), eager=True)
        return
    bell = Doorbell(partial(line_to_broker, settings), begin_after_s=ANSWERS_FIRST_S)
    bell.start()
    jobs.bell.set(bell.ring)


def line_to_broker(settings: Settings) -> Line:
    from changes.app import broker

    return broker.Line(broker.make_celery(settings))


def allow_many_connections() -> None:
    """An open page holds a connection, and many systems begin with a limit of a thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_WANTED if hard == resource.RLIM_INFINITY else min(CONNECTIONS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    sys.setswitchinterval(SWITCH_EVERY_S)
    allow_many_connections()
    settings = settings_of.load()
    wiring.wire(settings)
    connect_bell(settings)
    app = server.create_app()
    revision.wait_until_current(settings.database_url or "")
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=STOP_WITHIN_S,
        server_header=False,
        # web/proxies.py does that, and believes nobody whom the settings do not name.
        proxy_headers=False,
    )
    Server(config, app).run()
