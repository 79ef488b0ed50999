"""The console of a step: one pipe for all its commands and for the agent's own lines, kept in a file.

One pipe, because only then the order of what commands and agent write is the order people read.
A daemon left by one command goes on writing while the next one runs.
"""

import fcntl
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PIPE_BYTES = 1024 * 1024


class Console:
    """Whatever is written to `write_end` is appended to the file; `on_growth` hears the new size."""

    def __init__(self, path: Path, on_growth: Callable[[int], None]) -> None:
        self._on_growth = on_growth
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._read_end, self.write_end = os.pipe()
        self._wake_read_end, self._wake_write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # A larger pipe is a wish; the system may have given away all it wants to.
            with suppress(OSError):
                fcntl.fcntl(self._read_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.problem: OSError | None = None
        self._pump = threading.Thread(target=self._move, daemon=True, name="console")
        self._pump.start()

    def say(self, line: str) -> None:
        self.write(f"{line}\n".encode(errors="replace"))

    def write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.write_end, rest) :]

    def close(self) -> None:
        """Call when all writers are dead: what is in the pipe now is the end of it."""
        os.close(self.write_end)
        os.close(self._wake_write_end)
        self._pump.join()
        for descriptor in (self._read_end, self._wake_read_end, self._file):
            os.close(descriptor)

    def _move(self) -> None:
        poll = select.poll()
        for descriptor in (self._read_end, self._wake_read_end):
            poll.register(descriptor, select.POLLIN)
        size = 0
        while True:
            is_closing = any(descriptor == self._wake_read_end for descriptor, _ in poll.poll())
            try:
                piece = os.read(self._read_end, PIPE_BYTES)
            except BlockingIOError:
                # A process out of our reach may hold the pipe open for ever; nobody waits for it.
                if is_closing:
                    return
                continue
            if not piece:
                return
            size += self._keep(piece)
            self._on_growth(size)

    def _keep(self, piece: bytes) -> int:
        """With a full disk reading goes on, or the command would hang; the step learns of it at its end."""
        if self.problem is not None:
            return 0
        kept = 0
        try:
            while kept < len(piece):
                kept += os.write(self._file, memoryview(piece)[kept:])
        except OSError as error:
            self.problem = error
        return kept
