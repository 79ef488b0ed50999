"""Somebody's order that a step ends early."""

import threading
import time
from collections.abc import Callable
from typing import Literal

# aborted: the server wants no more of it. agent_stopped: the server gets it back unfinished.
StopReason = Literal["aborted", "agent_stopped"]


class StopOrder:
    """The first reason stands, except that `aborted` always wins: such a step is not handed back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
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

    def look(self) -> None:
        """What `wait_until` asks for may have come true."""
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, is_over: Callable[[], bool], ends_at: float | None) -> None:
        """Returns when it is over, when the order is given, or at `ends_at` (monotonic)."""
        timeout_s = None if ends_at is None else max(0.0, ends_at - time.monotonic())
        with self._changed:
            self._changed.wait_for(lambda: is_over() or self.is_given, timeout_s)
