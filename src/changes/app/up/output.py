"""What the children print: on the terminal with their name before each line, and in bounded files."""

import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import IO

LOG_MAX_BYTES = 5 * 1024 * 1024
LINE_MAX_BYTES = 64 * 1024
NAME_WIDTH = 8


class Terminal:
    """One line at a time, however many threads print. A closed terminal ends nothing."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def say_from(self, name: str, line: str) -> None:
        self.say(f"{name:<{NAME_WIDTH}}| {line}")


class BoundedLog:
    """A file that is set aside as `.1` when it is full, so that two of them is the most there is."""

    def __init__(self, path: Path, max_bytes: int = LOG_MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None

    def write(self, line: bytes) -> None:
        # A full disk costs us lines of this file, never the child that prints them.
        with contextlib.suppress(OSError):
            self._open().write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() >= self._max_bytes:
            self.close()
            self._path.replace(older(self._path))
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        return self._file


def older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def bound_in_place(path: Path, max_bytes: int = LOG_MAX_BYTES) -> None:
    """The same for a file that a server holds open and will not let go of."""
    with contextlib.suppress(OSError):
        if path.stat().st_size >= max_bytes:
            shutil.copyfile(path, older(path))
            os.truncate(path, 0)


class Output:
    """Reads all that a child prints, for ever: a pipe that nobody empties would stop the child."""

    def __init__(self, source: IO[bytes], name: str, terminal: Terminal, log: BoundedLog) -> None:
        self._source = source
        self._name = name
        self._terminal = terminal
        self._log = log
        self._thread = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._thread.start()

    def drain(self, within_s: float) -> None:
        """Let the last words out; a process outside the group may hold the pipe for longer."""
        self._thread.join(within_s)

    def _read(self) -> None:
        with self._source:
            for line in iter(lambda: self._source.readline(LINE_MAX_BYTES), b""):
                self._log.write(line)
                self._terminal.say_from(self._name, line.decode(errors="replace").rstrip("\r\n"))
        self._log.close()
