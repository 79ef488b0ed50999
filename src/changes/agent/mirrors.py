"""Local copies of repositories: one per repository, shared by all steps, kept as long as there is room."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from changes.protocol import Checkout
from changes.vcs.errors import TimedOut
from changes.vcs.interface import Credentials, Mirror
from changes.vcs.lock import locked
from changes.vcs.open import open_mirror
from changes.vcs.removal import remove_folder

# In the folder of a step: the names of the mirrors it works with.
BORROWED = "mirrors"
DAY_S = 24 * 60 * 60
TIDY_EVERY_S = 60 * 60
# Whoever holds a mirror longer than this uses it.
LOCK_PATIENCE_S = 0.0

log = logging.getLogger("changes.agent")


@dataclass(frozen=True)
class Room:
    """What goes first is what was not used for longest; nothing that a step works with goes."""

    size_max_bytes: int = 20 * 1024**3
    unused_max_s: float = 30 * DAY_S


class Mirrors:
    def __init__(self, home: Path, room: Room | None = None) -> None:
        self.folder = home / "mirrors"
        self._steps = home / "steps"
        self._room = room or Room()
        self._tidying = threading.Lock()
        self._tidied_at: float | None = None
        self._mending: dict[str, threading.Lock] = {}
        self._times_mended: dict[str, int] = {}

    def open(
        self, wanted: Checkout, entrance: Credentials | None = None, borrower: Path | None = None
    ) -> Mirror:
        """Notes that it is used, and by whom; nothing is read or made before it is asked for."""
        path = self.folder / name_of(wanted)
        if borrower is not None:
            with (borrower / BORROWED).open("a") as borrowed:
                borrowed.write(f"{path.name}\n")
        used = used_path(path)
        used.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        used.touch()
        return open_mirror(wanted.backend, wanted.url, path, credentials=entrance)

    def borrowed_by(self, borrower: Path) -> tuple[Path, ...]:
        """What a step may look into: its work trees borrow objects of these, and of no others."""
        try:
            names = (borrower / BORROWED).read_text().split()
        except FileNotFoundError:
            return ()
        return tuple(self.folder / name for name in dict.fromkeys(names))

    def times_mended(self, wanted: Checkout) -> int:
        """Waits for whoever mends it now."""
        name = name_of(wanted)
        with self._mending.setdefault(name, threading.Lock()):
            return self._times_mended.get(name, 0)

    def mend(self, wanted: Checkout, mirror: Mirror, times_seen: int) -> None:
        """Takes it away, unless somebody has done that since: what is there now is another one."""
        name = name_of(wanted)
        with self._mending.setdefault(name, threading.Lock()):
            if self._times_mended.get(name, 0) == times_seen:
                # A remote that is gone says the same as a mirror that is broken; only the latter goes.
                mirror.reach()
                mirror.remove()
                self._times_mended[name] = times_seen + 1

    def tidy(self, *, is_due: bool = False) -> None:
        """Now and then, when something was fetched; always when it is due."""
        if not self._tidying.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            if not is_due and self._tidied_at is not None and now - self._tidied_at < TIDY_EVERY_S:
                return
            self._tidied_at = now
            self._make_room()
        finally:
            self._tidying.release()

    def _make_room(self) -> None:
        for rubbish in self.folder.glob("*.old"):
            remove_folder(rubbish)
        unused = sorted((used_at(path), path) for path in self._mirrors())
        sizes = {path: size_bytes(path) for _, path in unused}
        kept_bytes = sum(sizes.values())
        in_use = set(self._names_in_use())
        for at, path in unused:
            is_old = time.time() - at > self._room.unused_max_s
            if (is_old or kept_bytes > self._room.size_max_bytes) and path.name not in in_use and _drop(path):
                kept_bytes -= sizes[path]

    def _mirrors(self) -> Iterator[Path]:
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink() and path.suffix not in {".new", ".old"}:
                yield path

    def _names_in_use(self) -> Iterator[str]:
        """Of all steps that have a folder: a work tree borrows from its mirror as long as it is there."""
        for borrowed in self._steps.glob(f"*/{BORROWED}"):
            with suppress(OSError):
                yield from borrowed.read_text().split()


def name_of(wanted: Checkout) -> str:
    """Apart for a short history: a mirror that has some of it would seem to have all."""
    name = hashlib.sha1(wanted.url.encode(), usedforsecurity=False).hexdigest()
    return f"{name}-{wanted.depth}" if wanted.depth else name


def used_path(mirror_path: Path) -> Path:
    return mirror_path.with_name(f"{mirror_path.name}.used")


def used_at(mirror_path: Path) -> float:
    with suppress(FileNotFoundError):
        return used_path(mirror_path).stat().st_mtime
    return 0.0


def size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # Others may write there, and files come and go.
        with suppress(OSError):
            status = path.lstat()
            total += status.st_blocks * 512
    return total


def _drop(path: Path) -> bool:
    try:
        with locked(path, LOCK_PATIENCE_S):
            remove_folder(path)
    except (TimedOut, OSError) as error:
        log.info("The mirror %s stays for now: %s", path.name, error)
        return False
    used_path(path).unlink(missing_ok=True)
    log.info("Removed the mirror %s to make room.", path.name)
    return True
