"""Files a step leaves behind: copied aside while they are as the command left them, then uploaded.

The copy costs disk for a moment; in return the next command may start, or change the files, while
the upload runs or waits for an absent server.
"""

import errno
import hashlib
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from changes.agent.errors import GivenUp, NotAccepted, OffsetExpected, Refused, StepGone
from changes.agent.link import StepLink
from changes.agent.patterns import is_wanted
from changes.agent.private_files import (
    LOOKED_AT_BYTES,
    PRIVATE_FOLDERS,
    is_key,
    is_private,
    may_hold_forced,
)
from changes.protocol import BATCH_MAX_BYTES, BATCH_MAX_FILES, PART_MAX_BYTES

AS_KEY = "they look like keys or belong to a repository (name one exactly to keep it)"
BLOCK_BYTES = 1024 * 1024
SMALL_MAX_BYTES = 64 * 1024
# How many names of one kind are told; the others are counted.
TOLD_MAX = 5
# Leaves room for one more file, and for the base64 of all.
BATCH_ROOM_BYTES = BATCH_MAX_BYTES // 2
DENIALS_MAX = 5


@dataclass(frozen=True)
class Artifact:
    path: str
    stored: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Room:
    """How much one step may leave behind."""

    count_max: int = 10_000
    file_max_bytes: int = 4 * 1024**3
    total_max_bytes: int = 10 * 1024**3


@dataclass
class Collection:
    """All that one step leaves behind, over all of its commands: each path once."""

    root: Path
    into: Path
    room: Room = field(default_factory=Room)
    known: set[str] = field(default_factory=set)
    total_bytes: int = 0

    def take(self, patterns: list[str], say: Callable[[str], None]) -> Iterator[Artifact]:
        """Regular files only; nothing is reached through a symbolic link. Says what is left out, and why."""
        left_out = LeftOut()
        for path, name, folder in matching(self.root, patterns, left_out):
            if path in self.known:
                continue
            if len(self.known) >= self.room.count_max:
                left_out.add(f"there are more than {self.room.count_max}", path)
                continue
            artifact = self._copy(path, name, folder, patterns, left_out)
            if artifact is not None:
                self.known.add(path)
                self.total_bytes += artifact.size_bytes
                yield artifact
        for line in left_out.lines():
            say(line)

    def _copy(
        self, path: str, name: str, folder: int, patterns: list[str], left_out: "LeftOut"
    ) -> Artifact | None:
        """None for what is no regular file, is empty, gone again, or left out."""
        try:
            # A fifo would block an open that waits for its writer; a link may lead anywhere.
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                left_out.add("they are links", path)
            return None
        with os.fdopen(source, "rb", buffering=0) as file:
            status = os.fstat(source)
            why = self._refusal(status, folder)
            if why:
                left_out.add(why, path)
            if why or status.st_size == 0:
                return None
            if is_key(path, os.pread(source, LOOKED_AT_BYTES, 0), patterns):
                left_out.add(AS_KEY, path)
                return None
            return self._keep(path, file, left_out)

    def _refusal(self, status: os.stat_result, folder: int) -> str:
        if not stat.S_ISREG(status.st_mode):
            return "they are no plain files"
        # A second name for a file of somebody else, which the step itself could perhaps not read.
        if status.st_nlink > 1 and status.st_uid != os.fstat(folder).st_uid:
            return "they are links to files of another account"
        if status.st_size > self.room.file_max_bytes:
            return f"they have more than {self.room.file_max_bytes // 2**20} MB"
        if self.total_bytes + status.st_size > self.room.total_max_bytes:
            return f"all together have more than {self.room.total_max_bytes // 2**20} MB"
        return ""

    def _keep(self, path: str, file: IO[bytes], left_out: "LeftOut") -> Artifact | None:
        stored = self.into / str(len(self.known))
        stored.parent.mkdir(mode=0o700, exist_ok=True)
        digest, size_bytes = hashlib.sha256(), 0
        most = min(self.room.file_max_bytes, self.room.total_max_bytes - self.total_bytes)
        with stored.open("wb") as copy:
            while block := file.read(BLOCK_BYTES):
                size_bytes += len(block)
                # Somebody may still write to it.
                if size_bytes > most:
                    break
                digest.update(block)
                copy.write(block)
        if size_bytes > most:
            stored.unlink()
            left_out.add("they grow while they are read", path)
            return None
        _label(stored).write_bytes(f"{digest.hexdigest()}\n".encode() + os.fsencode(path))
        return Artifact(path, stored, digest.hexdigest(), size_bytes)


class LeftOut:
    """By the reason why."""

    def __init__(self) -> None:
        self._paths: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, why: str, path: str) -> None:
        told = self._paths.setdefault(why, [])
        self._counts[why] = self._counts.get(why, 0) + 1
        if len(told) < TOLD_MAX:
            told.append(path.encode(errors="replace").decode(errors="replace"))

    def lines(self) -> Iterator[str]:
        for why, paths in self._paths.items():
            more = self._counts[why] - len(paths)
            names = ", ".join(repr(path) for path in paths) + (f" and {more} more" if more else "")
            yield f"Left out of the artifacts, because {why}: {names}"


def matching(root: Path, patterns: list[str], left_out: LeftOut) -> Iterator[tuple[str, str, int]]:
    """Path, name, and the open folder it is in."""
    if not patterns:
        return
    for folder, folders, names, descriptor in os.fwalk(root):
        here = Path(folder).relative_to(root).as_posix()
        below = "" if here == "." else f"{here}/"
        folders[:] = sorted(
            name
            for name in folders
            if name not in PRIVATE_FOLDERS or may_hold_forced(f"{below}{name}", patterns)
        )
        for name in sorted(names):
            path = f"{below}{name}"
            if not is_wanted(path, patterns):
                continue
            if is_private(path, patterns):
                left_out.add(AS_KEY, path)
            else:
                yield path, name, descriptor


def kept(folder: Path) -> list[Artifact]:
    """What an earlier run copied aside and did not get rid of, in the order of collection."""
    found = []
    for label in sorted(folder.glob("*.label"), key=lambda each: int(each.stem)):
        sha256, _, path = label.read_bytes().partition(b"\n")
        stored = label.with_suffix("")
        # Between the two that a sent one leaves behind, the agent may have been killed.
        with suppress(FileNotFoundError):
            found.append(Artifact(os.fsdecode(path), stored, sha256.decode(), stored.stat().st_size))
    return found


def _label(stored: Path) -> Path:
    return stored.with_suffix(".label")


class ArtifactSender:
    """Uploads in the background; its thread starts with the first artifact."""

    def __init__(
        self, link: StepLink, say: Callable[[str], None], on_end: Callable[[Exception], None]
    ) -> None:
        self._link = link
        self._say = say
        self._on_end = on_end
        self._waiting: queue.SimpleQueue[Artifact | None] = queue.SimpleQueue()
        # Taken from the queue too early: it goes with the next request.
        self._held: Artifact | None = None
        self._thread: threading.Thread | None = None

    def send(self, artifact: Artifact) -> None:
        self._waiting.put(artifact)
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_all, daemon=True, name="artifacts")
            self._thread.start()

    def finish(self) -> None:
        """Returns when all are uploaded, or nobody wants them any more."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _send_all(self) -> None:
        with suppress(GivenUp):
            try:
                while batch := self._next():
                    self._send(batch)
            except (StepGone, Refused) as error:
                self._on_end(error)

    def _next(self) -> list[Artifact]:
        """What waits and fits into one request, at least one; empty at the end."""
        first = self._held or self._waiting.get()
        self._held = None
        batch, size_bytes = [first] if first else [], first.size_bytes if first else 0
        while batch and self._link.takes_batches and _is_small(batch[-1]) and len(batch) < BATCH_MAX_FILES:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            # The end, too, waits for the next turn.
            if following is None or not _is_small(following) or size_bytes > BATCH_ROOM_BYTES:
                self._hold(following)
                break
            batch.append(following)
            size_bytes += following.size_bytes
        return batch

    def _hold(self, following: Artifact | None) -> None:
        if following is None:
            self._waiting.put(None)
        else:
            self._held = following

    def _send(self, batch: list[Artifact]) -> None:
        if len(batch) == 1 or not self._are_taken(batch):
            for artifact in batch:
                self._send_one(artifact)
        for artifact in batch:
            _label(artifact.stored).unlink(missing_ok=True)
            artifact.stored.unlink(missing_ok=True)

    def _are_taken(self, batch: list[Artifact]) -> bool:
        """A proxy in between may take less at once than the server does."""
        try:
            refused = self._link.put_artifacts(batch)
        except NotAccepted:
            return False
        for path, why in refused.items():
            self._complain(path, why)
        return True

    def _send_one(self, artifact: Artifact) -> None:
        try:
            if self._link.takes_batches and artifact.size_bytes > PART_MAX_BYTES:
                self._send_parts(artifact)
            else:
                self._link.put_artifact(artifact.path, artifact.stored, artifact.sha256)
        except NotAccepted as error:
            self._complain(artifact.path, str(error))

    def _send_parts(self, artifact: Artifact) -> None:
        """Goes on where the server stands, also after a cut, or in another life of this agent."""
        offset, denials = 0, 0
        while offset < artifact.size_bytes:
            try:
                offset = self._link.put_part(artifact, offset)
                denials = 0
            except OffsetExpected as error:
                denials += 1
                if denials > DENIALS_MAX:
                    raise NotAccepted(f"the server expects byte {error.offset} again and again") from error
                offset = min(error.offset, artifact.size_bytes - 1)

    def _complain(self, path: str, why: str) -> None:
        self._say(f"The server does not take the artifact {path}: {why}")


def _is_small(artifact: Artifact) -> bool:
    return artifact.size_bytes <= SMALL_MAX_BYTES
