"""Ctrl-C and TERM as something to ask for, so that nothing is cut off half way through."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from changes.app.embedded.errors import StartInterrupted


class StopSignals:
    """While entered, signals to stop are remembered; `is_stopping` answers, `wait` wakes up."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._may_raise = False
        self._earlier: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Written when the signal comes, not when its handler runs: that waits until we go on.
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._woken_earlier = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._earlier = {number: signal.signal(number, self._remember) for number in _stopping()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken_earlier)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def asked_to_stop(self) -> bool:
        return self.is_stopping

    def wait(self, within_s: float) -> bool:
        """True when we are to stop."""
        select.select([self._wake_read], [], [], within_s)
        return self.is_stopping

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """For work of others that does not ask: a signal raises StartInterrupted in it."""
        self._refuse_when_stopping()
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    def _refuse_when_stopping(self) -> None:
        if self.is_stopping:
            raise StartInterrupted("Stopped while starting.")

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopping = True
        if self._may_raise:
            self._may_raise = False
            self._refuse_when_stopping()


def _stopping() -> list[signal.Signals]:
    # Under nohup the end of the terminal is ignored, and stays so.
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if stays else [signal.SIGHUP])]
