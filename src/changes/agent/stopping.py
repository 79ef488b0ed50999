"""Somebody's order that a step ends early."""

import os
import select
import threading
import time
from collections.abc import Callable
from typing import Literal

# aborted: the server wants no more of it. agent_stopped: the server gets it back unfinished.
StopReason = Literal["aborted", "agent_stopped"]
# The system counts the milliseconds of a wait in 31 bits.
POLLED_MAX_S = 24 * 3600.0
MS_PER_S = 1000


class StopOrder:
    """The first reason stands, except that `aborted` always wins: such a step is not handed back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Of whoever waits for a descriptor, and is to hear of an order all the same.
        self._bell: int | None = None
        self.reason: StopReason | None = None

    @property
    def is_given(self) -> bool:
        return self.reason is not None

    def is_aborted(self) -> bool:
        return self.reason == "aborted"

    def give(self, reason: StopReason) -> None:
        with self._changed:
            if self.reason is None or reason == "aborted":
                self.reason = reason
            self._changed.notify_all()
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def look(self) -> None:
        """What `wait_until` asks for may have come true."""
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, is_over: Callable[[], bool], ends_at: float | None) -> None:
        """Returns when it is over, when the order is given, or at `ends_at` (monotonic)."""
        timeout_s = None if ends_at is None else max(0.0, ends_at - time.monotonic())
        with self._changed:
            self._changed.wait_for(lambda: is_over() or self.is_given, timeout_s)

    def wait_for(self, descriptor: int, ends_at: float | None) -> bool:
        """Whether it can be read from; False when the order is given first, or at `ends_at` (monotonic).
        On Linux, and for one at a time.
        """
        bell = os.eventfd(0)
        try:
            with self._changed:
                self._bell = bell
            return not self.is_given and can_be_read(descriptor, ends_at, or_else=bell)
        finally:
            with self._changed:
                self._bell = None
            os.close(bell)


def can_be_read(descriptor: int, ends_at: float | None, *, or_else: int | None = None) -> bool:
    """False at `ends_at` (monotonic), or when there is something to read from the other one alone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if or_else is not None:
        poll.register(or_else, select.POLLIN)
    while True:
        left_s = POLLED_MAX_S if ends_at is None else min(POLLED_MAX_S, ends_at - time.monotonic())
        ready = poll.poll(max(0.0, left_s) * MS_PER_S)
        if ready or left_s <= 0:
            return any(each == descriptor for each, _ in ready)
