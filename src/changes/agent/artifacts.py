"""Files a step leaves behind: copied aside while they are as the command left them, then uploaded.

The copy costs disk for a moment; in return the next command may start, or change the files, while
the upload runs or waits for an absent server.
"""

import hashlib
import os
import queue
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from changes.agent.errors import GivenUp, NotAccepted, Refused, StepGone
from changes.agent.link import StepLink
from changes.agent.patterns import is_wanted

BLOCK_BYTES = 1024 * 1024
LEFT_OUT = {".git", ".hg"}


@dataclass(frozen=True)
class Artifact:
    path: str
    stored: Path
    sha256: str


def collect(root: Path, patterns: Collection[str], into: Path, known: set[str]) -> Iterator[Artifact]:
    """Each regular file once per step; nothing is reached through a symbolic link. Adds to `known`."""
    if not patterns:
        return
    for folder, folders, names, descriptor in os.fwalk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(names):
            path = (Path(folder) / name).relative_to(root).as_posix()
            if path in known or not is_wanted(path, patterns):
                continue
            artifact = _copy(name, descriptor, Artifact(path, into / str(len(known)), ""))
            if artifact is not None:
                known.add(path)
                yield artifact


def _copy(name: str, folder: int, artifact: Artifact) -> Artifact | None:
    """None for what is no regular file, is empty, or is gone again."""
    try:
        # A fifo would block an open that waits for its writer; a link may lead anywhere.
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(source, "rb", buffering=0) as file:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return None
        artifact.stored.parent.mkdir(mode=0o700, exist_ok=True)
        digest = hashlib.sha256()
        with artifact.stored.open("wb") as copy:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                copy.write(block)
    found = Artifact(artifact.path, artifact.stored, digest.hexdigest())
    _label(found.stored).write_bytes(f"{found.sha256}\n".encode() + os.fsencode(found.path))
    return found


def kept(folder: Path) -> list[Artifact]:
    """What an earlier run copied aside and did not get rid of, in the order of collection."""
    found = []
    for label in sorted(folder.glob("*.label"), key=lambda each: int(each.stem)):
        sha256, _, path = label.read_bytes().partition(b"\n")
        found.append(Artifact(os.fsdecode(path), label.with_suffix(""), sha256.decode()))
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
                while artifact := self._waiting.get():
                    self._send(artifact)
            except (StepGone, Refused) as error:
                self._on_end(error)

    def _send(self, artifact: Artifact) -> None:
        try:
            self._link.put_artifact(artifact.path, artifact.stored, artifact.sha256)
        except NotAccepted as error:
            self._say(f"The server does not take the artifact {artifact.path}: {error}")
        _label(artifact.stored).unlink()
        artifact.stored.unlink()
