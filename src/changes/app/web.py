"""The web process: uvicorn, with held requests ended as soon as it is asked to stop."""

from types import FrameType

import uvicorn
from fastapi import FastAPI

from changes.app import broker, server, wiring
from changes.base import settings as settings_of

STOP_WITHIN_S = 5


class Server(uvicorn.Server):
    """uvicorn waits for open requests; agents hold theirs open, so they are told first."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        loop = getattr(self.app.state, "loop", None)
        if loop is not None:
            loop.call_soon_threadsafe(self.app.state.bell.close)
        super().handle_exit(sig, frame)


def main() -> None:
    settings = settings_of.load()
    wiring.wire(settings)
    broker.connect_bell(broker.make_celery(settings), eager=settings.celery_always_eager)
    app = server.create_app()
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
    )
    Server(config, app).run()
