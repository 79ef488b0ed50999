"""Rings for workers beside the request: a slow or absent broker delays nobody, the sweep rings again."""

import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from changes.base import jobs

# A broker that is away for long must not fill our memory; what is dropped the sweep sends again.
RINGS_KEPT_MAX = 10_000
TRY_AGAIN_S = 0.5
STANDING_EVERY_S = 0.25

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
        # A ring that is still to come is for everybody who asks for it meanwhile.
        self.coming: set[UUID] = set()
        # When standing work was rung for last, and for which a ring is held back until when.
        self.rung: dict[UUID, float] = {}
        self.held: dict[UUID, float] = {}
        self.is_needed = threading.Event()
        self.is_away = False

    def ring(self, task_id: UUID) -> None:
        self.is_needed.set()
        if task_id in self.coming:
            return
        try:
            self.coming.add(task_id)
            self.waiting.put_nowait(task_id)
        except queue.Full:
            self.coming.discard(task_id)
            log.debug("ring dropped", task=task_id.hex)

    def run(self) -> None:
        self.is_needed.wait(self.begin_after_s)
        line = self.connect()
        # The first connection takes half a second, mostly of imports: not in somebody's request.
        self.reach(line.count_waiting)
        while True:
            task_id = self.next()
            self.coming.discard(task_id)
            while not self.reach(partial(line.publish, task_id)):
                time.sleep(TRY_AGAIN_S)

    def next(self) -> UUID:
        """Of work that is rung for again and again, one ring in a while is enough."""
        while True:
            wait_s = min(self.held.values()) - time.monotonic() if self.held else None
            if wait_s is not None and wait_s <= 0:
                task_id = min(self.held, key=self.held.__getitem__)
                del self.held[task_id]
                break
            with suppress(queue.Empty):
                task_id = self.waiting.get(timeout=wait_s)
                since_s = time.monotonic() - self.rung.get(task_id, -math.inf)
                if since_s >= STANDING_EVERY_S:
                    break
                self.held[task_id] = time.monotonic() + STANDING_EVERY_S - since_s
        if task_id in jobs.standing:
            self.rung[task_id] = time.monotonic()
        return task_id

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
