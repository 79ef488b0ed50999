"""Rings for workers beside the request: a slow or absent broker delays nobody, the sweep rings again."""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

# A broker that is away for long must not fill our memory; what is dropped the sweep sends again.
RINGS_KEPT_MAX = 10_000
TRY_AGAIN_S = 0.5

log = structlog.get_logger()


class BrokerAway(Exception):
    """It cannot be reached now."""


class Line(Protocol):
    """One thread's connection to the broker. Both raise BrokerAway."""

    def publish(self, task_id: UUID) -> None: ...
    def count_waiting(self) -> int: ...


class Doorbell(threading.Thread):
    """`connect` is called in the thread, as it may take its time: at the first ring, or a while later."""

    def __init__(self, connect: Callable[[], Line], *, begin_after_s: float = 0) -> None:
        super().__init__(name="doorbell", daemon=True)
        self.connect = connect
        self.begin_after_s = begin_after_s
        self.waiting: queue.Queue[UUID] = queue.Queue(RINGS_KEPT_MAX)
        self.is_needed = threading.Event()
        self.is_away = False

    def ring(self, task_id: UUID) -> None:
        self.is_needed.set()
        try:
            self.waiting.put_nowait(task_id)
        except queue.Full:
            log.debug("ring dropped", task=task_id.hex)

    def run(self) -> None:
        self.is_needed.wait(self.begin_after_s)
        line = self.connect()
        # The first connection takes half a second, mostly of imports: not in somebody's request.
        self.reach(line.count_waiting)
        while True:
            task_id = self.waiting.get()
            while not self.reach(partial(line.publish, task_id)):
                time.sleep(TRY_AGAIN_S)

    def reach(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except BrokerAway as error:
            if not self.is_away:
                log.warning("broker away; tasks wait in the database", error=str(error))
            self.is_away = True
            return False
        self.is_away = False
        return True
