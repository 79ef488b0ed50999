"""A log as it is kept on disk before it is sent: without secrets, and not larger than it may be.

Of one that is too large the beginning is kept as it comes, and the end, which is mostly what people
look for; in between it says how much was left out. Its file only ever grows.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from changes.agent.masking import Masker

MEGABYTE = 2**20
LOG_MAX_BYTES = 256 * MEGABYTE
END_MAX_BYTES = 4 * MEGABYTE


@dataclass(frozen=True)
class Rules:
    """What may be in a log."""

    secrets: tuple[str, ...] = ()
    max_bytes: int = LOG_MAX_BYTES

    @property
    def end_bytes(self) -> int:
        return min(self.max_bytes // 4, END_MAX_BYTES)


class KeptLog:
    """Not thread-safe: one thread adds and finishes."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self._masker = Masker(rules.secrets)
        self._rules = rules
        self._room = rules.max_bytes - rules.end_bytes
        self._end = bytearray()
        self._left_out = 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.problem: OSError | None = None
        self.size = 0

    def add(self, data: bytes) -> None:
        self._keep(self._masker.mask(data))

    def finish(self) -> None:
        self._keep(self._masker.rest())
        if self._room == 0:
            self._write(self._last_words())
        os.close(self._file)

    def _keep(self, data: bytes) -> None:
        if self._room:
            kept, data = data[: self._room], data[self._room :]
            self._write(kept)
            self._room -= len(kept)
            if self._room:
                return
            self._write(b"\n[This log grows too large: from here on only its end is kept.]\n")
        self._end += data
        too_much = len(self._end) - self._rules.end_bytes
        if too_much > self._rules.end_bytes:
            self._drop(too_much)

    def _drop(self, count: int) -> None:
        del self._end[:count]
        self._left_out += count

    def _last_words(self) -> bytes:
        self._drop(max(0, len(self._end) - self._rules.end_bytes))
        if not self._left_out:
            return bytes(self._end)
        # A line that is there by halves is worth less than the count being right.
        self._drop(self._end.find(b"\n") + 1)
        return f"[{self._left_out:,} bytes were left out here.]\n".encode() + self._end

    def _write(self, piece: bytes) -> None:
        """With a full disk reading goes on, or the command would hang; the step learns of it at its end."""
        if self.problem is not None:
            return
        written = 0
        try:
            while written < len(piece):
                written += os.write(self._file, memoryview(piece)[written:])
        except OSError as error:
            self.problem = error
        self.size += written
