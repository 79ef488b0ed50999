"""The console of a step: one pipe for all its commands and for the agent's own lines, kept in a file.

One pipe, because only then the order of what commands and agent write is the order people read.
A daemon left by one command goes on writing while the next one runs. The pipe has a name, so that
what runs in a sandbox of its own can open it.
"""

import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from changes.agent.kept_log import KeptLog, Rules
from changes.agent.late_threads import LateThread

PIPE_BYTES = 1024 * 1024
PIPES_FOLDER = "pipes"
# What a process out of our reach may still write while the log is closed.
CLOSING_MAX_READS = 64
# So long the pipe keeps what is printed: nobody is told of it earlier.
READ_AFTER_S = 0.04


class Console:
    """Whatever is written to `write_end` is appended to the file; `on_growth` hears the new size."""

    def __init__(self, path: Path, on_growth: Callable[[int], None], rules: Rules | None = None) -> None:
        self._on_growth = on_growth
        self._log = KeptLog(path, rules or Rules())
        self.pipe = make_pipe(path.parent.parent / PIPES_FOLDER / path.name)
        self._read_end = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.write_end = os.open(self.pipe, os.O_WRONLY)
        # Not the one that commands get: whoever of them makes that non-blocking makes it so for all.
        self._own_end = os.open(self.pipe, os.O_WRONLY)
        self._wake_read_end, self._wake_write_end = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # A larger pipe is a wish; the system may have given away all it wants to.
            with suppress(OSError):
                fcntl.fcntl(self._read_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._pump = LateThread(self._move, READ_AFTER_S, path.name)

    @property
    def problem(self) -> OSError | None:
        return self._log.problem

    def say(self, line: str) -> None:
        self.write(f"{line}\n".encode(errors="replace"))

    def write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._own_end, rest) :]

    def close(self) -> None:
        """Call when all writers are dead: what is in the pipe now is the end of it."""
        for descriptor in (self.write_end, self._own_end, self._wake_write_end):
            os.close(descriptor)
        self._pump.finish()
        for descriptor in (self._read_end, self._wake_read_end):
            os.close(descriptor)
        self.pipe.unlink(missing_ok=True)

    def _move(self) -> None:
        poll = select.poll()
        for descriptor in (self._read_end, self._wake_read_end):
            poll.register(descriptor, select.POLLIN)
        is_over, reads_left = False, CLOSING_MAX_READS
        while not is_over and reads_left:
            is_closing = any(descriptor == self._wake_read_end for descriptor, _ in poll.poll())
            reads_left -= is_closing
            try:
                piece = os.read(self._read_end, PIPE_BYTES)
            except BlockingIOError:
                # A process out of our reach may hold the pipe open for ever; nobody waits for it.
                is_over = is_closing
                continue
            is_over = not piece
            if piece:
                self._log.add(piece)
                self._on_growth(self._log.size)
        self._log.finish()
        self._on_growth(self._log.size)


def make_pipe(path: Path) -> Path:
    """Who may write to it is said by its folder's and its own owner."""
    path.parent.mkdir(mode=0o711, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return path
