"""The Celery app that workers run: `changes worker`, or `celery -A changes.app worker -B`."""

import os
import sys
import threading
import time
from typing import Any

import structlog
from celery import Celery
from celery import beat as celery_beat
from celery.signals import worker_ready, worker_shutting_down

from changes.app import broker, schedule, wiring
from changes.base import garbage, leases, settings

# How long running tasks have to end by themselves once the worker is asked to stop.
STOP_WITHIN_S = 4
HAND_BACK_WITHIN_S = 1

log = structlog.get_logger()


def make_worker_app() -> Celery:
    current = settings.load()
    wiring.wire_worker(current)
    app = broker.make_celery(current)
    broker.connect_bell(app, eager=current.celery_always_eager)
    # `-B` would fork a second process of 70 MB, with our connections and without our threads.
    # There is no setting for it; Celery does the same where processes cannot be had.
    vars(celery_beat)["_Process"] = None
    return app


celery = make_worker_app()
beat = schedule.Beat(broker.Room(celery))


def main(arguments: list[str]) -> None:
    """Without arguments it does without Celery's command line, which is 9 MB for as long as it lives."""
    if arguments:
        celery.worker_main(["--quiet", "worker", "--loglevel=WARNING", *broker.WORKER_FLAGS, *arguments])
        return
    leave_out: Any = {flag.removeprefix("--").replace("-", "_"): True for flag in broker.WORKER_FLAGS}
    worker: Any = celery.Worker(quiet=True, loglevel="WARNING", **leave_out)
    worker.start()
    sys.exit(worker.exitcode)


@worker_ready.connect
def begin(**_: Any) -> None:
    """Every worker may beat; the advisory lock lets one of them do it."""
    garbage.leave_out_what_is_here()
    if not beat.is_alive():
        beat.start()


@worker_shutting_down.connect
def stop_soon(**_: Any) -> None:
    beat.stop()
    threading.Thread(target=stop, name="stop", daemon=True).start()


def stop() -> None:
    """Celery waits for running tasks for ever. Ours may run twice: another worker has them at once."""
    time.sleep(STOP_WITHIN_S)
    if leases.keeper.tokens:
        log.warning("stopped while tasks ran; they will run again", tasks=len(leases.keeper.tokens))
    giving = threading.Thread(target=leases.keeper.hand_back, daemon=True)
    giving.start()
    giving.join(HAND_BACK_WITHIN_S)
    os._exit(0)
