"""What was fetched, by its digest, as long as there is room: two steps that want the same share it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from changes.agent.errors import GivenUp
from changes.agent.keeping.archives import BadArchive, digest_of

ROOM_BYTES = 10 * 1024**3
LOOK_EVERY_S = 0.1

log = logging.getLogger("changes.agent")


class Stock:
    def __init__(self, home: Path, room_bytes: int = ROOM_BYTES) -> None:
        self.folder = home / "kept"
        self._room_bytes = room_bytes
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._in_use: dict[str, int] = {}

    @contextmanager
    def holding(
        self, sha256: str, fetch: Callable[[Path], None], is_given_up: Callable[[], bool]
    ) -> Iterator[Path]:
        """The file, whole and looked at again; it stays while the block runs. `fetch` continues a part
        of it. Raises BadArchive when what comes is something else, and GivenUp.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._guard:
            self._in_use[sha256] = self._in_use.get(sha256, 0) + 1
        try:
            with self.alone(sha256, is_given_up):
                path = self._found(sha256) or self._fetched(sha256, fetch)
            path.touch()
            yield path
        finally:
            with self._guard:
                self._in_use[sha256] -= 1
                if not self._in_use[sha256]:
                    del self._in_use[sha256]
            self._make_room()

    def put(self, path: Path, sha256: str) -> None:
        """Of our own making: the next step here need not fetch it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(self.folder / sha256)
        self._make_room()

    @contextmanager
    def alone(self, sha256: str, is_given_up: Callable[[], bool]) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(sha256, threading.Lock())
        while not lock.acquire(timeout=LOOK_EVERY_S):
            if is_given_up():
                raise GivenUp("Nobody waits for it any more.")
        try:
            yield
        finally:
            lock.release()

    def _found(self, sha256: str) -> Path | None:
        """Another program may have been at it, or the disk: its digest is always taken anew."""
        path = self.folder / sha256
        if not path.is_file() or path.is_symlink():
            return None
        if digest_of(path) == sha256:
            return path
        log.warning("%s has changed and is fetched again.", path)
        path.unlink()
        return None

    def _fetched(self, sha256: str, fetch: Callable[[Path], None]) -> Path:
        part = self.folder / f"{sha256}.part"
        fetch(part)
        if digest_of(part) != sha256:
            part.unlink()
            raise BadArchive("What the server sent is not what was kept: its digest is another one.")
        return part.replace(self.folder / sha256)

    def _make_room(self) -> None:
        """What was used longest ago goes first; nothing goes that somebody reads."""
        with self._guard:
            files = []
            for path in self.folder.iterdir():
                with suppress(FileNotFoundError):
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            kept_bytes = sum(size for _, size, _ in files)
            for _, size_bytes, path in sorted(files):
                if kept_bytes <= self._room_bytes:
                    return
                if path.name.removesuffix(".part") not in self._in_use:
                    path.unlink(missing_ok=True)
                    kept_bytes -= size_bytes
