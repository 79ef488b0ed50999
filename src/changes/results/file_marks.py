"""Where which lines of a stored file are, so that reading some of them is not reading all before them.

Nobody counts the lines of what a step leaves behind until somebody reads it as a log. A file never changes,
so each process remembers the marks of those that were read last.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from changes.base import storage
from changes.results.log_chunks import Mark

EVERY_BYTES = 1024 * 1024
KEPT = 64


@dataclass(frozen=True)
class FileMarks:
    """The first one is the beginning, the last one the end."""

    offsets: tuple[int, ...]
    newlines: tuple[int, ...]

    @property
    def newlines_in_all(self) -> int:
        return self.newlines[-1]

    def of_line(self, number: int) -> Mark:
        """Not after the beginning of this line; lines count from 1."""
        return self._at(max(0, bisect_left(self.newlines, number - 1) - 1))

    def of_byte(self, offset: int) -> Mark:
        return self._at(max(0, bisect_right(self.offsets, offset) - 1))

    def _at(self, place: int) -> Mark:
        return Mark(self.offsets[place], self.newlines[place])


@lru_cache(maxsize=KEPT)
def of_file(artifact_id: UUID, key: str) -> FileMarks:  # noqa: ARG001 -- what it is remembered by
    """Of all there is: whoever reads less knows where to stop."""
    offsets, newlines = [0], [0]
    at = counted = 0
    for piece in storage.storage.get().read(key):
        at, counted = at + len(piece), counted + piece.count(b"\n")
        if at - offsets[-1] >= EVERY_BYTES:
            offsets.append(at)
            newlines.append(counted)
    return FileMarks((*offsets, at), (*newlines, counted))
