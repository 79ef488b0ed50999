"""Carries what a step has to tell: its progress, its console, and last its report.

A thread for each, which begins with the first thing to be told: by then most steps have ended, and
all they have to tell is told by whoever ends them.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace as replace_fields

from changes.agent.errors import GivenUp, NotAccepted, OffsetExpected, Refused, StepGone
from changes.agent.late_threads import LateThread
from changes.agent.link import StepLink
from changes.agent.read_times import ReadTimes
from changes.protocol import CONSOLE, LOG_END_MAX_BYTES, CommandReport, LogEnd, StepReport

# So long it waits for more before it sends something. A trivial command starts, writes and ends within the
# first of these, and costs two requests instead of three; beside other steps it takes longer.
FIRST_LINGER_S, BUSY_FIRST_LINGER_S, LINGER_S = 0.05, 0.25, 0.01
# With so much waiting there is nothing to be gained by collecting more.
PLENTY_BYTES = 64 * 1024

log = logging.getLogger("changes.agent")


class Courier:
    """`on_end` is called with StepGone or Refused when the server wants no more of this step."""

    def __init__(
        self, link: StepLink, console: Path, on_end: Callable[[Exception], None], is_alone: Callable[[], bool]
    ) -> None:
        self._link = link
        self._on_end = on_end
        self._console = os.open(console, os.O_RDONLY)
        self._changed = threading.Condition()
        self._size = os.fstat(self._console).st_size
        self._sent = 0
        self._times = ReadTimes()
        self._progress: dict[str, CommandReport] = {}
        self._is_start_told = False
        self._final: StepReport | None = None
        # Whether what is left of the console may go with the report.
        self._is_end_apart = not link.takes_log_end
        self._is_settled = False
        self._first_linger_s = FIRST_LINGER_S if is_alone() else BUSY_FIRST_LINGER_S
        self._begun_at = time.monotonic()
        self._thread = LateThread(self._carry, self._first_linger_s, f"courier {link.step_id}")

    def console_grew(self, size: int) -> None:
        with self._changed:
            self._times.note(self._size)
            self._size = size
            has_plenty = self._has_plenty()
            self._changed.notify()
        if has_plenty:
            self._thread.start()

    def tell_progress(self, command: CommandReport) -> None:
        """Only the newest word about a command is sent."""
        with self._changed:
            self._progress[command.id] = command
            self._changed.notify()

    def finish(self, report: StepReport) -> bool:
        """Sends the report after all bytes of the console. Returns whether nothing is left to be sent."""
        with self._changed:
            self._final = report
            self._changed.notify()
        self._thread.finish()
        return self._is_settled

    def wake(self) -> None:
        """The step may have been given up: look."""
        with self._changed:
            self._changed.notify()

    def _carry(self) -> None:
        try:
            while self._has_more():
                self._send_progress()
                self._send_console()
        except GivenUp:
            pass
        except (StepGone, Refused) as error:
            self._on_end(error)
        finally:
            os.close(self._console)

    def _has_more(self) -> bool:
        """Waits for something to send; when all is sent and told, sends the report and ends."""
        with self._changed:
            self._changed.wait_for(self._is_due)
            if self._final is None:
                self._changed.wait_for(self._is_urgent, self._linger_s())
            if self._final is None or (self._sent < self._size and not self._is_end_short()):
                return not self._link.is_given_up()
        return not self._is_handed_in(self._final)

    def _is_end_short(self) -> bool:
        most = min(LOG_END_MAX_BYTES, self._link.log_chunk_max_bytes)
        return not self._is_end_apart and self._size - self._sent <= most

    def _linger_s(self) -> float:
        if self._is_start_told:
            return LINGER_S
        return max(0.0, self._first_linger_s - (time.monotonic() - self._begun_at))

    def _is_due(self) -> bool:
        has_news = not self._is_start_told or bool(self._progress) or self._sent < self._size
        return has_news or self._final is not None or self._link.is_given_up()

    def _is_urgent(self) -> bool:
        return self._final is not None or self._has_plenty() or self._link.is_given_up()

    def _has_plenty(self) -> bool:
        return self._size - self._sent >= PLENTY_BYTES

    def _send_progress(self) -> None:
        with self._changed:
            commands, self._progress = list(self._progress.values()), {}
            is_news = bool(commands) or not self._is_start_told
            self._is_start_told = True
            # The final report says everything again, so nothing older needs to go before it.
            if self._final is not None or not is_news:
                return
        with suppress(NotAccepted):
            self._link.report(StepReport(status="in_progress", commands=commands))

    def _send_console(self) -> None:
        if self._sent >= self._size:
            return
        chunk, times = self._next_piece(self._link.log_chunk_max_bytes)
        try:
            self._sent = self._link.append_log(CONSOLE, self._sent, chunk, times)
        except OffsetExpected as error:
            if error.offset == self._sent or error.offset > self._size:
                self._lose_console(f"byte {error.offset} was expected where there is none")
            else:
                self._sent = error.offset
        except NotAccepted as error:
            self._lose_console(str(error))

    def _next_piece(self, most: int) -> tuple[bytes, str]:
        """And when it was read."""
        piece = os.pread(self._console, min(most, self._size - self._sent), self._sent)
        return piece, self._times.told(self._sent, self._sent + len(piece))

    def _lose_console(self, why: str) -> None:
        """A log the server will never take must not hold back the result."""
        log.warning("Step %s: the server does not take the console: %s", self._link.step_id, why)
        self._sent = self._size

    def _is_handed_in(self, report: StepReport) -> bool:
        """False when what is left of the console has to go first."""
        has_end = self._sent < self._size
        try:
            self._link.report(self._with_end(report) if has_end else report)
        except (NotAccepted, OffsetExpected) as error:
            if has_end:
                # Apart it shows which of the two is not taken.
                self._is_end_apart = True
                return False
            log.warning("Step %s: the server does not take the report: %s", self._link.step_id, error)
        self._is_settled = True
        return True

    def _with_end(self, report: StepReport) -> StepReport:
        data, times = self._next_piece(LOG_END_MAX_BYTES)
        return replace_fields(report, log_end=LogEnd(name=CONSOLE, offset=self._sent, data=data, times=times))
