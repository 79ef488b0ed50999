"""Threads that begin a little later: most steps have ended by then, and need none of them.

One thread of the program watches the time for all. What it takes to start a thread, and to change
between threads, is a good part of what a short step costs.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

# For instance with no more threads to be had: a moment later there may be one.
TRY_AGAIN_S = 1.0

log = logging.getLogger("changes.agent")


class LateThread:
    """Runs `act` once: in a thread from `delay_s` on, or in that of whoever cannot wait for it."""

    def __init__(self, act: Callable[[], None], delay_s: float, name: str) -> None:
        self._act = act
        self._name = name
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_run_here = False
        _clock.add(self, delay_s)

    def start(self) -> None:
        """Now, if it has not begun yet."""
        with self._guard:
            if self._thread is None and not self._is_run_here:
                thread = threading.Thread(target=self._act, daemon=True, name=self._name)
                thread.start()
                self._thread = thread

    def finish(self) -> None:
        """Returns when it has run to its end. Call once."""
        with self._guard:
            self._is_run_here = self._thread is None
        if self._thread is None:
            _clock.forget(self)
            self._act()
        else:
            self._thread.join()


class _Clock:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[LateThread, float] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, late: LateThread, delay_s: float) -> None:
        due = time.monotonic() + delay_s
        with self._changed:
            self._due[late] = due
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True, name="late threads")
                self._thread.start()
            elif due < self._wakes_at:
                self._changed.notify()

    def forget(self, late: LateThread) -> None:
        with self._changed:
            self._due.pop(late, None)

    def _watch(self) -> None:
        while True:
            for late in self._next():
                try:
                    late.start()
                except RuntimeError as error:
                    log.warning("No thread can be started now, trying again: %s", error)
                    self.add(late, TRY_AGAIN_S)

    def _next(self) -> list[LateThread]:
        """Waits until some are due."""
        with self._changed:
            while True:
                now = time.monotonic()
                ready = [late for late, due in self._due.items() if due <= now]
                if ready:
                    for late in ready:
                        del self._due[late]
                    return ready
                self._wakes_at = min(self._due.values(), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)


_clock = _Clock()
