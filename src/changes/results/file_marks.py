"""Where which lines of a stored file are, so that reading some of them is not reading all before them.

A file never changes, so its lines are counted once: of a large log soon after its step has ended, of
anything else when somebody reads it first. The marks of a large one lie in the store, by the digest of its
bytes, where every process finds them; when nothing has those bytes any more, the sweep of lost files takes
them (orphans.py).
"""

import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import structlog

from changes.base import db, storage
from changes.base.errors import Full, NotFound
from changes.base.storage import StorageError
from changes.results import artifacts
from changes.results.log_chunks import Mark
from changes.results.models import Artifact

EVERY_BYTES = 1024 * 1024
KEPT = 64
# What is smaller is counted in a few milliseconds.
STORED_MIN_BYTES = 16 * 1024 * 1024
LOG_NAME_END = ".log"
# Byte and number of ends of lines before it.
MARK = struct.Struct("<QQ")

log = structlog.get_logger()


class File(NamedTuple):
    sha256: str
    key: str
    size_bytes: int

    @property
    def marks_key(self) -> str | None:
        """None for what is not worth it."""
        return f"marks/{self.sha256}" if self.sha256 and self.size_bytes >= STORED_MIN_BYTES else None


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


def of_artifact(artifact: Artifact) -> FileMarks:
    return of_file(File(artifact.sha256, artifact.key, artifact.size_bytes))


@lru_cache(maxsize=KEPT)
def of_file(file: File) -> FileMarks:
    """Of all there is: whoever reads less knows where to stop."""
    stored = fetched(file)
    if stored is not None:
        return stored
    counted = count(file.key)
    if file.marks_key is not None and counted.offsets[-1] == file.size_bytes:
        keep(file.marks_key, counted)
    return counted


def count(key: str) -> FileMarks:
    offsets, newlines = [0], [0]
    at = counted = 0
    for piece in storage.storage.get().read(key):
        at, counted = at + len(piece), counted + piece.count(b"\n")
        if at - offsets[-1] >= EVERY_BYTES:
            offsets.append(at)
            newlines.append(counted)
    return FileMarks((*offsets, at), (*newlines, counted))


def count_logs(step_id: UUID) -> None:
    """Those that a step left behind, before somebody waits for it."""
    with db.transaction() as session:
        left = [each for each in artifacts.of_step(session, step_id) if is_large_log(each)]
    for each in left:
        try:
            of_artifact(each)
        except NotFound as why:
            log.warning("a log is lost", artifact=each.id.hex, why=why.message)


def is_large_log(artifact: Artifact) -> bool:
    is_there = artifact.date_removed is None and artifact.size_bytes >= STORED_MIN_BYTES
    return is_there and artifact.name.endswith(LOG_NAME_END)


# --- in the store ------------------------------------------------------------------------------------


def keep(key: str, marks: FileMarks) -> None:
    """Whoever wants to read does so as well where nothing can be written."""
    told = b"".join(MARK.pack(*pair) for pair in zip(marks.offsets, marks.newlines, strict=True))
    try:
        storage.storage.get().put(key, told)
    except (Full, StorageError, OSError) as why:
        log.warning("the marks of a log were not kept", key=key, why=str(why))


def fetched(file: File) -> FileMarks | None:
    """None where nobody has counted, or what is there cannot be of this file."""
    if file.marks_key is None:
        return None
    try:
        told = b"".join(storage.storage.get().read(file.marks_key))
    except (NotFound, StorageError):
        return None
    if not told or len(told) % MARK.size:
        return None
    offsets, newlines = zip(*MARK.iter_unpack(told), strict=True)
    is_right = (offsets[0], newlines[0], offsets[-1]) == (0, 0, file.size_bytes)
    is_rising = all(one <= other for each in (offsets, newlines) for one, other in pairwise(each))
    return FileMarks(offsets, newlines) if is_right and is_rising else None
